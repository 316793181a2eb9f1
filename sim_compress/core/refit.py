"""Least squares on a given support, within the kappa constraint."""

from dataclasses import replace
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from sim_compress.compilation import kernel
from sim_compress.core.conjugate import RIDGE, conjugate
from sim_compress.core.gram import Matrix
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import over_rows
from sim_compress.core.solution import Ball
from sim_compress.core.solvers.cholesky import scratch_size, solve_on, submatrix
from sim_compress.core.solvers.minimiser import Stop
from sim_compress.core.solvers.rows import UNPACKED, solve_rows

# Conjugate gradients on all rows at once are cheaper than a Cholesky factor of each where the factors take
# more than so many times the operations of one product with H, the second number for rough rows: there both
# took the same time on the layers of MiniLM (AVX2, one thread).
MANY, FEW = 40, 8
# A row that meets its ball is solved to this gap, relative to c; its sweeps rarely reach two digits.
GAP, SWEEPS = 1e-8, 200


def refit(
    problems: RowProblems,
    support: NDArray[np.bool_],
    ball: Ball | None = None,
    biased: NDArray[np.bool_] | None = None,
    *,
    rough: bool = False,
    start: Matrix | None = None,
) -> Matrix:
    """argmin of the datafit over rows that are zero outside the support.

    Args:
        problems: the rows of one block.
        support: (rows, features).
        ball: the kappa constraint; a row that breaks it is solved again within it.
        biased: (rows,) which rows have a bias; all if not given.
        rough: whether the rows only serve to measure what a support costs, to start a search or to move
            targets.
        start: rows near the solution, zero outside the support, where such are known; the teacher's if not
            given.

    Returns:
        v in standard coordinates, (rows, features), zero outside the support.
    """
    V = _unbounded(problems, support, rough, start)
    left = np.zeros(problems.rows, bool) if biased is None else ~biased
    if left.any():
        V[left] = _without_bias(problems.only(left), support[left], V[left], rough)
    if ball is None:
        return V
    norms = np.einsum("rj,rj->r", ball.weights, np.abs(V))
    for row in np.flatnonzero(norms > ball.radius):
        columns = np.flatnonzero(support[row])
        own = problems.only(np.arange(problems.rows) == row)
        own = own.through_origin() if left[row] else own
        V[row, columns] = _within(own, ball, int(row), columns, V[row, columns])
    return V


def _without_bias(problems: RowProblems, support: NDArray[np.bool_], V: Matrix, rough: bool) -> Matrix:
    """The same rows when their bias leaves (Sherman and Morrison 1950): H gains m m', of rank one."""
    m, mu = problems.means
    directions = replace(problems, g=np.tile(m, (problems.rows, 1)), prior=np.zeros_like(problems.prior))
    h = _unbounded(directions, support, rough)
    return V + h * ((mu - V @ m) / (1 + h @ m))[:, None]


def _unbounded(
    problems: RowProblems, support: NDArray[np.bool_], rough: bool, start: Matrix | None = None
) -> Matrix:
    """Every row's least squares with a bias, wherever that leads."""
    V = np.zeros_like(problems.g)
    left = np.arange(problems.rows)
    factors, product = np.sum(support.sum(axis=1, dtype=float) ** 3) / 3, support.size * problems.features
    if factors > (FEW if rough else MANY) * product:
        V, left = conjugate(problems, support, rough=rough, start=start)
    if len(left):
        exact = np.zeros((len(left), problems.features))
        over_rows(_least_squares, len(left), problems.H, problems.g[left], support[left], exact)
        V[left] = exact
    return V


@kernel
def _least_squares(first, stop_row, H, g, support, V):
    """Normal equations of rows first:stop_row, each on its support, by the Cholesky factor of its part of H.

    Rows are too small for a threaded LAPACK call each, and one thread a row makes the result the same
    on any number of cores.
    """
    for r in range(first, stop_row):
        columns = np.flatnonzero(support[r])
        U = submatrix(H, columns, np.empty(scratch_size(len(H))))
        for i in range(len(columns)):
            U[i, i] += RIDGE
        v = solve_on(U, columns, g[r])
        for j in columns:
            V[r, j] = v[j]


_MATRIX = types.float64[:, ::1]
# What a compression calls; other layouts are compiled when they come.
ENTRIES: dict[Any, tuple[Any, ...]] = {
    _least_squares: (types.int64, types.int64, _MATRIX, _MATRIX, types.boolean[:, ::1], _MATRIX),
}


def _within(problems: RowProblems, ball: Ball, row: int, columns: NDArray[np.intp], start: Matrix) -> Matrix:
    """The least squares of one row, the only one of the problems, on its support inside its ball."""
    H = problems.H[np.ix_(columns, columns)] + RIDGE * np.eye(len(columns))
    own = slice(row, row + 1)
    V, multiplier = start[None].copy(), np.zeros(1)
    solve_rows(
        0,
        1,
        H,
        np.zeros((0, 0)),
        problems.g[:, columns],
        problems.c,
        V,
        np.zeros(1),
        np.inf,
        ball.weights[own, columns],
        ball.radius[own],
        Stop(GAP, GAP, SWEEPS),
        multiplier,
        UNPACKED,
        False,
    )
    return V[0]
