"""One row's least penalty on an affine set: proximal point steps, each solved by Newton's method on its dual.

    minimise over v:  alpha sum_j P(v_j)    s.t.  B'v = b,   sum_j weights_j |v_j| <= radius

A step from v0 adds |v - v0|^2 / (2 sigma). Its dual is smooth in the multipliers y and tau of the
constraints: v is the prox of v0 + sigma B y, and the second derivative is made of the columns where v is not
zero (semismooth Newton augmented Lagrangian: Li, Sun, Toh 2018).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty

# sigma of the first step, in units of the largest entry of the least-norm match, and its growth a step.
FIRST, GROWTH = 1.0, 4.0
STEPS, NEWTON_STEPS, HALVINGS = 30, 60, 30
# A step is solved when its row misses b, and the radius, by less than this part of them.
MISSED = 1e-11
# The second derivative has no rank to spare where few entries are not zero: this part of sigma is added.
RIDGE = 1e-12
# Far from the optimum more, at most its square.
FAR = 1e-3
# Part of the decrease that the slope promises, below which a Newton step is halved.
DECREASE = 1e-4


@dataclass(frozen=True)
class AffineRow:
    """What one row must meet and what it pays.

    Attributes:
        basis: B, (features, rank).
        target: b, (rank,).
        alpha, penalty: weight and P.
        weights, radius: the ball; infinite where it does not bind.
        tau: price of the ball to start with; with an infinite radius it stays, and weights |v| is a penalty.
    """

    basis: Matrix
    target: Matrix
    alpha: float
    penalty: Penalty
    weights: Matrix
    radius: float
    tau: float = 0.0


@dataclass(frozen=True)
class Point:
    """A row with the multipliers of its constraints.

    Attributes:
        v: (features,).
        y: of the match, (rank,).
        tau: of the ball.
        missed: |B'v - b| and what lies outside the ball, each a part of its constraint; the larger one.
    """

    v: Matrix
    y: Matrix
    tau: float
    missed: float


def first_point(row: AffineRow) -> Point:
    """Zero, with multipliers that aim at the least-norm match."""
    return Point(np.zeros(len(row.basis)), row.target / _first_sigma(row), row.tau, np.inf)


def steps(row: AffineRow, point: Point) -> Iterator[Point]:
    """Points after one proximal step each, up to STEPS of them; sigma grows."""
    sigma = _first_sigma(row)
    for _ in range(STEPS):
        point = _proximal_step(row, point, sigma)
        yield point
        sigma *= GROWTH


def _first_sigma(row: AffineRow) -> float:
    largest = float(np.abs(row.basis @ row.target).max(initial=0.0))
    return FIRST * largest if largest > 0 else 1.0


@dataclass(frozen=True)
class _Dual:
    """The dual of one step at (y, tau).

    Attributes:
        value: to be minimised.
        v: the row at these multipliers.
        slope: derivative of v by what is put into the prox, (features,).
        gradient: by y and tau, (rank + 1,).
    """

    value: float
    v: Matrix
    slope: Matrix
    gradient: Matrix


def _dual(row: AffineRow, start: Matrix, sigma: float, y: Matrix, tau: float) -> _Dual:
    bend = sigma * row.alpha / row.penalty.knee
    pull = row.basis @ y
    u = start + sigma * pull
    size = np.abs(u) - sigma * tau * row.weights
    shrunk = size - sigma * row.alpha
    beyond = shrunk > row.penalty.knee
    v = np.copysign(np.where(beyond, size / (1 + bend), np.maximum(shrunk, 0.0)), u)
    slope = np.where(beyond, 1 / (1 + bend), np.where(shrunk > 0, 1.0, 0.0))
    norm = float(row.weights @ np.abs(v))
    paid = row.alpha * float(row.penalty.value(v).sum()) + float(((v - start) ** 2).sum()) / (2 * sigma)
    room = (row.radius if np.isfinite(row.radius) else 0.0) - norm
    value = float(v @ pull) - paid - float(row.target @ y) + tau * room
    return _Dual(value, v, slope, np.append(row.basis.T @ v - row.target, room))


def _missed(row: AffineRow, gradient: Matrix) -> float:
    """The larger of both constraints' violations."""
    size = max(float(np.linalg.norm(row.target)), np.finfo(float).tiny)
    match = float(np.linalg.norm(gradient[:-1])) / size
    return max(match, -float(gradient[-1]) / row.radius if np.isfinite(row.radius) else 0.0)


def _proximal_step(row: AffineRow, point: Point, sigma: float) -> Point:
    """Newton's method on the dual of one step."""
    y, tau = point.y, point.tau
    dual = _dual(row, point.v, sigma, y, tau)
    for _ in range(NEWTON_STEPS):
        # The ball joins where the row leaves it or already pays for it.
        bounded = np.isfinite(row.radius) and (tau > 0 or dual.gradient[-1] < 0)
        settled = not bounded or abs(dual.gradient[-1]) <= MISSED * row.radius
        if settled and _missed(row, dual.gradient) <= MISSED:
            break
        move = _newton_move(row, dual, sigma, bool(bounded))
        found = _line_search(row, point.v, sigma, (y, tau), move, dual)
        if found is None:
            break
        y, tau, dual = found
    return Point(dual.v, y, tau, _missed(row, dual.gradient))


def _newton_move(row: AffineRow, dual: _Dual, sigma: float, bounded: bool) -> Matrix:
    """-(second derivative)^-1 gradient by y and tau; tau stays where the ball is not bounded."""
    active = np.flatnonzero(dual.slope)
    columns = row.basis[active]
    if bounded:
        columns = np.column_stack([columns, -row.weights[active] * np.sign(dual.v[active])])
    gradient = dual.gradient if bounded else dual.gradient[:-1]
    second = sigma * (columns.T * dual.slope[active]) @ columns
    second[np.diag_indices_from(second)] += sigma * max(RIDGE, min(FAR, float(np.linalg.norm(gradient))) ** 2)
    move = -linalg.cho_solve(linalg.cho_factor(second, lower=True, check_finite=False), gradient)
    return move if bounded else np.append(move, 0.0)


def _line_search(
    row: AffineRow, start: Matrix, sigma: float, at: tuple[Matrix, float], move: Matrix, dual: _Dual
) -> tuple[Matrix, float, _Dual] | None:
    """The longest of 1, 1/2, 1/4, ... of the move that lowers the dual; None where none does."""
    y, tau = at
    part, rounding = 1.0, np.finfo(float).eps * (abs(dual.value) + float(np.abs(row.target) @ np.abs(y)))
    for _ in range(HALVINGS):
        fresh_y, fresh_tau = y + part * move[:-1], max(tau + part * move[-1], 0.0)
        found = _dual(row, start, sigma, fresh_y, fresh_tau)
        promised = float(dual.gradient[:-1] @ (fresh_y - y)) + float(dual.gradient[-1]) * (fresh_tau - tau)
        if found.value <= dual.value + DECREASE * promised + rounding:
            return fresh_y, fresh_tau, found
        part *= 0.5
    return None
