"""Exact matching by the native solver: the least penalty among rows that reproduce the target.

    minimise over v:  sum_j P(v_j)    s.t.  Hv = g,   sum_j ball_j |v_j| <= radius

Augmented Lagrangian: each round is a relaxed problem whose target has moved by what the last row missed.
For l1 the rounds end at an exact solution (Yin et al. 2008, Bregman iterations, theorem 3.2).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import L1, Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball, Solution, Status
from sim_compress.core.solvers import native
from sim_compress.core.solvers.appraisal import slack, unbounded
from sim_compress.core.solvers.cost import Cost, duality_gap

# Eigenvalues of H below this part of the largest are rounding of float32 moments, not data.
RANGE = 1e-6
# A target is matched when this part of c or less is left of it.
MATCHED = 1e-6
# Weight of the penalty against the mismatch, in units of the largest coordinate of the target.
WEIGHT = 0.05
# Each round halves the weight, down to this part of the first.
LEAST = 1e-4
ROUNDS = 60
# Gap of each round's relaxed problem: the row misses the target by about its root.
INNER = 1e-13
# Rounds stop when the row misses the target by less, in units of the target's coordinates.
MISSED = 1e-10


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
    projector = basis @ basis.T
    matched &= _within_reach(problems, projector, nearest, ball)
    # A row without a match would go on growing: its target is taken away instead.
    nearest[~matched] = 0.0
    alpha = WEIGHT * max(float(np.abs(nearest).max(initial=0.0)), np.finfo(float).tiny)
    V, price, missed = np.zeros_like(nearest), np.zeros_like(nearest), nearest
    multiplier, least = np.zeros(len(nearest)), LEAST * alpha
    for _ in range(ROUNDS):
        target = nearest + alpha * price
        shifted = _towards(problems, projector, target)
        solution = native.solve(shifted, penalty, alpha, ball=ball, start=V, tolerance=INNER)
        V, multiplier = solution.rows, solution.multiplier / alpha
        missed = nearest - V @ projector
        price += missed / alpha
        if np.abs(missed).max(initial=0.0) <= MISSED:
            break
        alpha = max(0.5 * alpha, least)
    matched &= np.abs(missed).max(axis=1, initial=0.0) <= np.sqrt(MATCHED)
    return matched_solution(penalty, ball, V, multiplier, -price, matched, tolerance, Status.SWEEPS)


def _towards(problems: RowProblems, projector: Matrix, target: Matrix) -> RowProblems:
    """Relaxed problems with datafit 1/2 |projector v - target|^2."""
    return replace(problems, H=projector, g=target, c=np.einsum("rj,rj->r", target, target))


def _within_reach(problems: RowProblems, projector: Matrix, nearest: Matrix, ball: Ball) -> NDArray[np.bool_]:
    """Whether some row in the ball matches: the least mismatch within it, (rows,)."""
    if not np.isfinite(ball.radius).any():
        return np.ones(len(nearest), bool)
    aim = _towards(problems, projector, nearest)
    closest = native.solve(aim, L1, 0.0, ball=ball)
    return (2 * aim.datafit(closest.rows) <= MATCHED * aim.c) & (ball.radius >= 0)


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
