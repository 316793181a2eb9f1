"""Exact matching by the native solver: the least penalty among rows that reproduce the target (eq. 2, 8, 9).

minimise over v:  sum_j P(v_j)    s.t.  Hv = g,   sum_j ball_j |v_j| <= radius
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.engines import one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import FORBIDDEN, Ball, Solution, Status
from sim_compress.core.solvers.appraisal import slack, unbounded
from sim_compress.core.solvers.cost import Cost, duality_gap, value
from sim_compress.core.solvers.proximal_point import AffineRow, Point, first_point, steps

# Eigenvalues of H below this part of the largest are rounding of float32 moments, not data.
RANGE = 1e-6
# A target is matched when this part of c or less is left of it.
MATCHED = 1e-6
# A row has met its constraints when it misses them by less than this part.
MET = 1e-9


def match(
    problems: RowProblems, penalty: Penalty, *, ball: Ball | None = None, tolerance: float = 1e-6
) -> Solution:
    """The least penalty of every row that matches its target exactly.

    Args:
        problems: the rows of one block, without damping (it makes the teacher's row the only match).
        penalty: P.
        ball: the kappa constraint.
        tolerance: relative duality gap of the penalty.

    Returns:
        Rows with the gap relative to their penalty; MISMATCH where no row in the ball matches.
    """
    ball = unbounded(problems) if ball is None else ball
    basis, nearest, matched = exact_targets(problems)
    V, prices, multiplier = np.zeros_like(nearest), np.zeros_like(nearest), np.zeros(len(nearest))
    with one_blas_thread():
        for r in np.flatnonzero(matched):
            weights, radius = ball.weights[r], float(ball.radius[r])
            allowed = weights < FORBIDDEN if radius > 0 else weights == 0
            row = AffineRow(basis[allowed], nearest[r] @ basis, 1.0, penalty, weights[allowed], radius)
            point = _within(row, tolerance)
            matched[r] = point.missed <= MET
            V[r, allowed], multiplier[r], prices[r] = matched[r] * point.v, point.tau, -basis @ point.y
    return matched_solution(penalty, ball, V, multiplier, prices, matched, tolerance, Status.SWEEPS)


def _within(row: AffineRow, tolerance: float) -> Point:
    """The least penalty inside the ball; a point that misses it where no match lies in it.

    The ball is left out first: where the row is inside all the same, its multiplier is zero.
    """
    free = replace(row, radius=np.inf)
    point = _solved(free, tolerance)
    if row.weights @ np.abs(point.v) <= row.radius:
        return point
    least = _solved(replace(free, alpha=0.0, tau=1.0), tolerance)
    if row.weights @ np.abs(least.v) > row.radius:
        return replace(least, missed=np.inf)
    return _solved(row, tolerance)


def _solved(row: AffineRow, tolerance: float) -> Point:
    """The first proximal point with the asked gap, or the last one."""
    start = found = first_point(row)
    for found in steps(row, start):
        cost = Cost(row.alpha, row.penalty.knee, row.weights, found.tau)
        room = row.radius - float(row.weights @ np.abs(found.v)) if np.isfinite(row.radius) else 0.0
        gap = duality_gap(-row.basis @ found.y, 0.0, found.v, cost) + found.tau * room
        if found.missed <= MET and gap <= tolerance * value(found.v, cost):
            break
    return found


def exact_targets(problems: RowProblems) -> tuple[Matrix, Matrix, NDArray[np.bool_]]:
    """Hv = g as basis' v = basis' nearest.

    Returns:
        An orthonormal basis of the range of H, (features, rank); the least-norm match of each row,
        (rows, features); whether the row's target is in the range at all, (rows,).
    """
    eigenvalues, Q = np.linalg.eigh(problems.H)
    kept = eigenvalues > RANGE * max(eigenvalues[-1], 0.0)
    basis = Q[:, kept]
    nearest = (problems.g @ basis / eigenvalues[kept]) @ basis.T
    left = problems.c - np.einsum("rj,rj->r", problems.g, nearest)
    return basis, nearest, left <= MATCHED * problems.c


def matched_solution(
    penalty: Penalty,
    ball: Ball,
    V: Matrix,
    multiplier: Matrix,
    price: Matrix,
    matched: NDArray[np.bool_],
    tolerance: float,
    above: Status,
) -> Solution:
    """Rows that match exactly, with the gap of their penalty.

    Args:
        penalty, ball: what was solved.
        V, multiplier: rows and the multipliers of their balls.
        price: multiplier of the matching, mapped to coordinates: -Hy, (rows, features).
        matched: which rows match.
        tolerance: rows whose gap is at most this part of their penalty are optimal.
        above: status of the others.
    """
    gap = slack(ball, V, multiplier)
    for r in range(len(V)):
        cost = Cost(1.0, penalty.knee, ball.weights[r], float(multiplier[r]))
        gap[r] += duality_gap(price[r], 0.0, V[r], cost)
    worth = penalty.value(V).sum(axis=1)
    relative = np.divide(gap, worth, out=np.zeros_like(gap), where=worth > 0)
    relative[~matched] = np.inf
    status = tuple(Status.OPTIMAL if g <= tolerance else above for g in relative)
    return Solution(V, multiplier, relative, status).with_status(~matched, Status.MISMATCH)
