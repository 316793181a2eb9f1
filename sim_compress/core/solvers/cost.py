"""What a row pays beside its datafit, and how far from optimal it may be: kernels shared by the solvers.

cost of v_j:  alpha P(v_j) + tau weights_j |v_j|,  infinite where v_j is forbidden
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.compilation import inlined, kernel, part
from sim_compress.core.solution import FORBIDDEN

# Least weight of |v_j| in the dual bound: a free coordinate (alpha = 0) is certified as if it paid this.
# The bound then errs by at most this times the sum of |v_j|.
REST = 1e-12


class Shared(NamedTuple):
    """What all rows of a block share.

    Attributes:
        H: (features, features).
        inverse: of H, or an empty matrix where there is none.
        scratch: one row's memory for its Cholesky factors; fresh pages for each would cost as much.
    """

    H: NDArray[np.float64]
    inverse: NDArray[np.float64]
    scratch: NDArray[np.float64]


class Cost(NamedTuple):
    """Penalty of one row and the multiplier of its ball.

    Attributes:
        alpha, knee: weight and knee of the penalty P.
        weights: the ball's, (features,).
        tau: multiplier of the ball.
    """

    alpha: float
    knee: float
    weights: NDArray[np.float64]
    tau: float


@inlined
def price(cost, j) -> float:
    """Weight of |v_j| beside the penalty: the ball's, infinite for a forbidden coordinate."""
    return np.inf if cost.weights[j] >= FORBIDDEN else cost.tau * cost.weights[j]


@inlined
def prox(u: float, step: float, knee: float, extra: float) -> float:
    """argmin of 1/2 (v - u)^2 + step P(v) + extra |v|."""
    size = abs(u) - extra
    shrunk = size - step
    if shrunk <= 0.0:
        return 0.0
    if shrunk > knee:
        shrunk = size / (1.0 + step / knee)
    return shrunk if u > 0.0 else -shrunk


@kernel
def value(v, cost):
    """The cost of a row."""
    total = 0.0
    for j in range(len(v)):
        if v[j] != 0.0:
            total += cost.alpha * _penalty(abs(v[j]), cost.knee) + price(cost, j) * abs(v[j])
    return total


@inlined
def _penalty(size, knee):
    """P of a size."""
    return size if size <= knee else (size * size / knee + knee) / 2.0


@kernel
def residual(q, g, c, v):
    """v'Hv - 2 g'v + c, twice the datafit, from q = Hv - g; not below zero."""
    total = c
    for j in range(len(v)):
        total += v[j] * (q[j] - g[j])
    return max(total, 0.0)


@kernel
def duality_gap(q, fit, v, cost):
    """Primal minus dual objective of datafit + cost at v, with its residual as the dual point.

    Args:
        q: Hv - g.
        fit: twice the datafit.
        v, cost: the row and what it pays.
    """
    return value(v, cost) + shortfall(q, fit, np.dot(v, q), cost)


@kernel
def shortfall(q, fit, inner, cost):
    """The datafit of a dual point less the bound that it puts under every row's objective.

    The point is a residual Rv - y, as it is or shrunk into the box where the conjugate vanishes; the better
    bound counts (docs/mathematics.md). Every term is small near the optimum, so a gap made of it keeps its
    digits when the objective almost vanishes.

    Args:
        q: R' times the residual, Hv - g.
        fit: square of the residual.
        inner: v'q.
        cost: what a row pays beside its datafit.
    """
    excess = 1.0
    for j in range(len(q)):
        allowed = max(cost.alpha + price(cost, j), REST)
        excess = max(excess, abs(q[j]) / allowed)
    found = _shortfall_at(1.0 / excess, q, fit, inner, cost)
    if cost.knee < np.inf and cost.alpha > REST:
        found = min(found, _shortfall_at(1.0, q, fit, inner, cost))
    return found


@part
def _shortfall_at(shrink, q, fit, inner, cost):
    """The shortfall of the residual times `shrink`."""
    found = 0.5 * (1.0 - shrink) ** 2 * fit + shrink * inner
    if cost.knee < np.inf and cost.alpha > REST:
        for j in range(len(q)):
            over = shrink * abs(q[j]) - price(cost, j)
            if over > cost.alpha:
                found += cost.knee * (over * over / cost.alpha - cost.alpha) / 2.0
    return found
