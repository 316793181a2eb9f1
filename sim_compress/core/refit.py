"""Least squares on a given support, within the kappa constraint."""

import numba
import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import L1
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball
from sim_compress.core.solvers import coordinate_descent

# Added to a support's diagonal: below the float32 rounding of the Gram, above its negative eigenvalues.
RIDGE = 1e-7
# A refit has no penalty to give it a dual bound, so the constrained one runs until coordinates rest.
EXACT = 1e-12
# Stands in for a pivot that rounding made non-positive: that feature, dependent on others, gets no weight.
HUGE = 1e100


def refit(problems: RowProblems, support: NDArray[np.bool_], ball: Ball | None = None) -> Matrix:
    """argmin of the datafit over rows that are zero outside the support.

    Args:
        problems: the rows of one block.
        support: (rows, features).
        ball: the kappa constraint; a row that breaks it is solved again within it.

    Returns:
        v in standard coordinates, (rows, features), zero outside the support.
    """
    V = np.zeros_like(problems.g)
    _least_squares(problems.H, problems.g, support, V)
    if ball is not None:
        norms = np.einsum("rj,rj->r", ball.weights, np.abs(V))
        for row in np.flatnonzero(norms > ball.radius):
            columns = np.flatnonzero(support[row])
            V[row, columns] = _within(problems, ball, int(row), columns, V[row, columns])
    return V


@numba.njit(cache=True, parallel=True)
def _least_squares(H, g, support, V):
    """Each row's normal equations on its support, by the Cholesky factor U'U of its part of H.

    Rows are too small for a threaded LAPACK call each, and one thread a row makes the result the same
    on any number of cores.
    """
    for r in numba.prange(len(g)):
        columns = np.flatnonzero(support[r])
        n = len(columns)
        U = np.empty((n, n))
        v = np.empty(n)
        for i in range(n):
            v[i] = g[r, columns[i]]
            for j in range(i, n):
                U[i, j] = H[columns[i], columns[j]]
            U[i, i] += RIDGE
        _factor(U)
        for i in range(n):
            v[i] /= U[i, i]
            v[i + 1 :] -= v[i] * U[i, i + 1 :]
        for i in range(n - 1, -1, -1):
            v[i] = (v[i] - np.sum(U[i, i + 1 :] * v[i + 1 :])) / U[i, i]
        for i in range(n):
            V[r, columns[i]] = v[i]


@numba.njit(cache=True)
def _factor(U):
    """Upper Cholesky factor in place; below the diagonal nothing is read."""
    n = len(U)
    for p in range(n):
        pivot = U[p]
        root = np.sqrt(pivot[p]) if pivot[p] > 0.0 else HUGE
        pivot[p] = root * root
        for j in range(p, n):
            pivot[j] /= root
        for i in range(p + 1, n):
            factor = pivot[i]
            row = U[i]
            for j in range(i, n):
                row[j] -= factor * pivot[j]


def _within(problems: RowProblems, ball: Ball, row: int, columns: NDArray[np.intp], start: Matrix) -> Matrix:
    """One row's least squares on its support inside its ball."""
    blank = np.zeros(1)
    H = problems.H[np.ix_(columns, columns)] + RIDGE * np.eye(len(columns))
    g, c = problems.g[row : row + 1, columns], problems.c[row : row + 1]
    alone = RowProblems(H, g, c, start[None], blank, blank, blank, blank)
    own = Ball(ball.weights[row : row + 1, columns], ball.radius[row : row + 1])
    return coordinate_descent.solve(alone, L1, 0.0, ball=own, start=start[None], tolerance=EXACT).rows[0]
