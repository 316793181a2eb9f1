"""Least squares on a given support, within the kappa constraint."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import L1
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball
from sim_compress.core.solvers import coordinate_descent

# Added to a support's diagonal: below the float32 rounding of the Gram, above its negative eigenvalues.
RIDGE = 1e-7
# A refit has no penalty to give it a dual bound, so the constrained one runs until coordinates rest.
EXACT = 1e-12


def refit(problems: RowProblems, support: NDArray[np.bool_], ball: Ball | None = None) -> Matrix:
    """argmin of the datafit over rows that are zero outside the support.

    Args:
        problems: the rows of one block.
        support: (rows, features).
        ball: the kappa constraint; a row that meets it is solved again within it.

    Returns:
        v in standard coordinates, (rows, features), zero outside the support.
    """
    V = np.zeros_like(problems.g)
    for row in range(problems.rows):
        columns = np.flatnonzero(support[row])
        if len(columns) == 0:
            continue
        H = problems.H[np.ix_(columns, columns)]
        H[np.diag_indices_from(H)] += RIDGE
        g = problems.g[row, columns]
        v = linalg.solve(H, g, assume_a="pos", check_finite=False)
        if ball is not None and ball.weights[row, columns] @ np.abs(v) > ball.radius[row]:
            v = _within(H, g, problems.c[row], v, ball.weights[row, columns], ball.radius[row])
        V[row, columns] = v
    return V


def _within(H: Matrix, g: Matrix, c: float, start: Matrix, weights: Matrix, radius: float) -> Matrix:
    """One row's least squares inside its ball."""
    blank = np.zeros(1)
    row = RowProblems(H, g[None], np.array([c]), start[None], blank, blank, blank, blank)
    ball = Ball(weights[None], np.array([radius]))
    return coordinate_descent.solve(row, L1, 0.0, ball=ball, start=start[None], tolerance=EXACT).rows[0]
