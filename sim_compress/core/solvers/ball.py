"""One row inside its ball: the multiplier at which the minimiser meets the radius."""

import numpy as np

from sim_compress.compilation import inlined, part
from sim_compress.core.solution import FORBIDDEN
from sim_compress.core.solvers.cost import Cost, duality_gap, residual, value
from sim_compress.core.solvers.descent import add_product, assign
from sim_compress.core.solvers.minimiser import Stop, minimise
from sim_compress.core.solvers.newton import solve_active

# Solves between updates of the multiplier stop at this part of the asked gap.
INNER = 1e-2
# Updates of the multiplier; Newton's take a handful, bisection would take sixty.
MULTIPLIERS = 60


@inlined
def minimise_within(shared, g, c, v, cost, radius, stop) -> float:
    """Minimise datafit + penalty inside the ball from v, in place.

    Args:
        shared, g, c, v, stop: as for `minimise`.
        cost: its tau is a first guess of the multiplier.
        radius: the ball's; infinite where there is none.

    Returns:
        The multiplier.
    """
    if radius < 0.0:
        assign(v, np.zeros(len(v)))
        return 0.0
    unbounded = radius == np.inf
    low, high, tau = 0.0, _no_weight(shared.H, c, cost.weights), 0.0 if unbounded else cost.tau
    below, above, best = np.zeros(len(v)), v.copy(), np.zeros(len(v))
    inner, gap = Stop(INNER * stop.relative, INNER * stop.absolute, stop.sweeps), np.inf
    if radius <= 0.0:
        tau = high
    free = tau == 0.0
    for _ in range(MULTIPLIERS):
        paying = Cost(cost.alpha, cost.knee, cost.weights, tau)
        minimise(shared, g, c, v, paying, stop if tau == 0.0 else inner)
        if unbounded:
            return 0.0
        size = norm(cost.weights, v)
        if size > radius:
            low = tau
            assign(above, v)
        else:
            high = tau
            assign(below, v)
        wanted = 0.0
        for outer in (v, above):
            _move_inside(best, outer, below, cost.weights, radius)
            gap, wanted = _gap_inside(shared.H, g, c, best, paying, radius, stop)
            if gap <= wanted:
                break
        if gap <= wanted:
            break
        # Newton's update of the multiplier, or the middle where it leaves the bracket.
        slope = _norm_slope(shared, v, paying)
        tau += (size - radius) / slope if slope > 0.0 else np.inf
        if not low < tau < high:
            tau = 0.5 * (low + high) if free or low > 0.0 else 0.0
        free = free or tau == 0.0
    assign(v, best)
    return tau


@part
def norm(weights, v) -> float:
    """The ball's norm of a row."""
    total = 0.0
    for j in range(len(v)):
        total += weights[j] * abs(v[j])
    return total


@inlined
def _no_weight(H, c, weights) -> float:
    """A multiplier at which every weighted coordinate is zero: a gradient is below sqrt(c H_jj)."""
    largest = 0.0
    for j in range(len(weights)):
        if 0.0 < weights[j] < FORBIDDEN:
            largest = max(largest, np.sqrt(c * H[j, j]) / weights[j])
    return largest


@inlined
def _norm_slope(shared, v, cost) -> float:
    """How fast the ball's norm falls as its multiplier grows, with the signs of v fixed."""
    pull = np.empty(len(v))
    for j in range(len(v)):
        pull[j] = cost.weights[j] * np.sign(v[j])
    return np.dot(pull, solve_active(shared, v, cost, pull))


@inlined
def _move_inside(target, outer, inner, weights, radius):
    """Set a row to the point of the ball nearest to `outer` on the way from `inner`, which is inside.

    Where the norm jumps with the multiplier, the optimum lies between the rows on both sides of the jump.
    """
    size, room = norm(weights, outer), norm(weights, inner)
    part = 1.0 if size <= radius else max((radius - room) / (size - room), 0.0)
    for j in range(len(target)):
        target[j] = outer[j] if size <= radius else part * outer[j] + (1.0 - part) * inner[j]
    if size > radius:
        shrink = min(1.0, radius / norm(weights, target))
        for j in range(len(target)):
            target[j] *= shrink


@inlined
def _gap_inside(H, g, c, v, cost, radius, stop):
    """The gap of a row in the ball, and the gap wanted."""
    q = np.empty(len(v))
    for j in range(len(v)):
        q[j] = -g[j]
    add_product(H, q, v)
    fit = residual(q, g, c, v)
    spare = cost.tau * (radius - norm(cost.weights, v))
    objective = 0.5 * fit + value(v, Cost(cost.alpha, cost.knee, cost.weights, 0.0))
    return duality_gap(q, fit, v, cost) + spare, max(stop.absolute, stop.relative * objective)
