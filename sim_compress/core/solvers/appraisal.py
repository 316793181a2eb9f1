"""Rows with their certificates: the same gap, objective and status for whatever solver found them."""

import numpy as np

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball, Solution, Status
from sim_compress.core.solvers.cost import Cost, duality_gap, residual

# Gaps are relative to the objective, or to this part of c where the objective is smaller.
FLOOR = 1e-8


def unbounded(problems: RowProblems) -> Ball:
    """A ball that holds every row."""
    return Ball(np.zeros_like(problems.g), np.full(problems.rows, np.inf))


def objective(problems: RowProblems, penalty: Penalty, alpha: float, V: Matrix) -> Matrix:
    """datafit + alpha * sum of P of each row, (rows,)."""
    return problems.datafit(V) + alpha * penalty.value(V).sum(axis=1)


def appraise(
    problems: RowProblems,
    penalty: Penalty,
    alpha: float,
    ball: Ball,
    V: Matrix,
    multiplier: Matrix,
    tolerance: float,
    above: Status,
    bounds: Matrix | None = None,
) -> Solution:
    """The solution of relaxed problems at given rows.

    Args:
        problems, penalty, alpha, ball: what was solved.
        V: feasible rows, (rows, features).
        multiplier: of each row's ball, (rows,); any value gives a valid gap, the right one a small gap.
        tolerance: rows whose gap is at most this part of their objective are optimal.
        above: status of the others.
        bounds: proven elsewhere to lie under the objective, (rows,); the smaller gap counts.
    """
    Q = V @ problems.H - problems.g
    gap = np.zeros(problems.rows)
    for r in range(problems.rows):
        cost = Cost(alpha, penalty.knee, ball.weights[r], float(multiplier[r]))
        fit = residual(Q[r], problems.g[r], problems.c[r], V[r])
        gap[r] = duality_gap(Q[r], fit, V[r], cost)
    gap += slack(ball, V, multiplier)
    reached = objective(problems, penalty, alpha, V)
    if bounds is not None:
        gap = np.minimum(gap, np.maximum(reached - bounds, 0.0))
    scale = np.maximum(reached, FLOOR * problems.c)
    relative = np.divide(gap, scale, out=np.zeros_like(gap), where=scale > 0)
    status = [Status.OPTIMAL if g <= tolerance else above for g in relative]
    return Solution(V, multiplier, relative, tuple(status)).with_status(ball.radius < 0, Status.NO_ROOM)


def slack(ball: Ball, V: Matrix, multiplier: Matrix) -> Matrix:
    """What an unused part of the radius adds to the gap, (rows,)."""
    room = ball.radius - np.einsum("rj,rj->r", ball.weights, np.abs(V))
    return np.multiply(multiplier, room, out=np.zeros(len(V)), where=multiplier > 0)
