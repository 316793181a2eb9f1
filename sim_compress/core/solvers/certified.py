"""Every row to its asked gap: the native solver, and the conic one for what it leaves."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball, Solution, Status
from sim_compress.core.solvers import conic, native
from sim_compress.errors import MissingExtraError


def solve_certified(
    problems: RowProblems,
    penalty: Penalty,
    alpha: float,
    *,
    ball: Ball | None = None,
    start: Matrix | None = None,
    tolerance: float = 1e-6,
    sweeps: int = 1000,
    backend: str = "clarabel",
) -> Solution:
    """The native solution, with rows above the asked gap solved again by a conic back end.

    Rows taken from it have the status FALLBACK, so `Solution.count` tells how many. Without cvxpy, or where
    the back end does no better, they keep the native row and its status.

    Args:
        problems, penalty, alpha, ball, start, tolerance, sweeps: as for the native solver.
        backend: name of the conic solver.
    """
    solution = native.solve(
        problems, penalty, alpha, ball=ball, start=start, tolerance=tolerance, sweeps=sweeps
    )
    left = np.array([s is Status.SWEEPS for s in solution.status])
    if not left.any():
        return solution
    rest = replace(problems, g=problems.g[left], c=problems.c[left])
    inside = None if ball is None else Ball(ball.weights[left], ball.radius[left])
    try:
        again = conic.solve(backend, rest, penalty, alpha, ball=inside, tolerance=tolerance)
    except MissingExtraError:
        return solution
    return _merged(solution, left, again)


def _merged(solution: Solution, left: NDArray[np.bool_], again: Solution) -> Solution:
    """The first solution with the better rows of the second, which solved those in `left`."""
    rows, multiplier, gap = solution.rows.copy(), solution.multiplier.copy(), solution.gap.copy()
    better = np.flatnonzero(left)[again.gap < gap[left]]
    taken = again.gap < gap[left]
    rows[better], multiplier[better] = again.rows[taken], again.multiplier[taken]
    gap[better] = again.gap[taken]
    optimal = np.array([s is Status.OPTIMAL for s in again.status])
    status = list(solution.status)
    for row in np.flatnonzero(left)[taken & optimal]:
        status[row] = Status.FALLBACK
    return Solution(rows, multiplier, gap, tuple(status))
