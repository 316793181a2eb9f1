"""One row's minimiser: coordinate descent, Newton steps where they are cheaper, and the ball's multiplier."""

from typing import NamedTuple

import numpy as np

from sim_compress.compilation import kernel
from sim_compress.core.solution import FORBIDDEN
from sim_compress.core.solvers.cost import Cost, duality_gap, residual, value
from sim_compress.core.solvers.descent import add_product, assign, sweep
from sim_compress.core.solvers.newton import solve_active, step

# Passes over the active coordinates between two over all of them.
PASSES = 10
# Active passes stop when they move coordinates by less than this part of the full pass.
SETTLED = 0.1
# Solves between updates of the multiplier stop at this part of the asked gap.
INNER = 1e-2
# Updates of the multiplier; Newton's take a handful, bisection would take sixty.
MULTIPLIERS = 60


class Stop(NamedTuple):
    """When a row is done: its gap is below relative * objective or below absolute, or sweeps run out."""

    relative: float
    absolute: float
    sweeps: int


@kernel
def minimise(shared, g, c, v, cost, stop):
    """Minimise datafit + cost from v, in place.

    Args:
        shared, g, c: the row's datafit.
        v: the start; the minimiser on return.
        cost: what the row pays beside its datafit.
        stop: when to stop.

    Returns:
        q = Hv - g and the duality gap.
    """
    H, q = shared.H, -g
    add_product(H, q, v)
    everything = np.arange(len(v))
    previous, gap, newton = np.inf, np.inf, False
    for _ in range(stop.sweeps):
        moved = sweep(H, q, v, cost, everything)
        fit = residual(q, g, c, v)
        gap = duality_gap(q, fit, v, cost)
        wanted = max(stop.absolute, stop.relative * (0.5 * fit + value(v, cost)))
        if gap <= wanted or moved == 0.0:
            break
        active = np.flatnonzero(v)
        newton = newton or _newton_pays(gap / previous, wanted / gap, len(active), len(v))
        previous = gap
        if newton:
            # With dependent columns active, coordinates leave one at a time until none depends on others.
            while step(shared, q, v, cost):
                pass
        else:
            for _ in range(PASSES):
                if sweep(H, q, v, cost, active) <= SETTLED * moved:
                    break
    return q, gap


@kernel
def _newton_pays(ratio, wanted, active, features) -> bool:
    """Whether the rounds still needed at the present rate cost more than two Newton steps."""
    if ratio >= 1.0:
        return ratio < np.inf
    rounds = np.log(wanted) / np.log(ratio) if ratio > 0.0 else 0.0
    order = min(active, features - active) + 1
    return rounds * (1.0 + PASSES) * 2.0 * active * features > 2.0 * order**3 / 3.0 + 8.0 * active * features


@kernel
def minimise_within(shared, g, c, v, cost, radius, stop):
    """Minimise datafit + penalty inside the ball from v, in place.

    Args:
        shared, g, c, v, stop: as for `minimise`.
        cost: its tau is a first guess of the multiplier.
        radius: the ball's.

    Returns:
        The multiplier and the duality gap.
    """
    if radius < 0.0:
        assign(v, np.zeros(len(v)))
        return 0.0, np.inf
    low, high, tau = 0.0, _no_weight(shared.H, c, cost.weights), cost.tau
    below, above = np.zeros(len(v)), v.copy()
    best = below
    inner, gap = Stop(INNER * stop.relative, INNER * stop.absolute, stop.sweeps), np.inf
    if radius <= 0.0:
        tau = high
    free = tau == 0.0
    for _ in range(MULTIPLIERS):
        paying = Cost(cost.alpha, cost.knee, cost.weights, tau)
        minimise(shared, g, c, v, paying, stop if tau == 0.0 else inner)
        norm = np.sum(cost.weights * np.abs(v))
        if norm > radius:
            low = tau
            assign(above, v)
        else:
            high = tau
            assign(below, v)
        gap, wanted = np.inf, 0.0
        for outer in (v, above):
            best = _inside(outer, below, cost.weights, radius)
            gap, wanted = _gap_inside(shared.H, g, c, best, paying, radius, stop)
            if gap <= wanted:
                break
        if gap <= wanted:
            break
        # Newton's update of the multiplier, or the middle where it leaves the bracket.
        slope = _norm_slope(shared, v, paying)
        tau += (norm - radius) / slope if slope > 0.0 else np.inf
        if not low < tau < high:
            tau = 0.5 * (low + high) if free or low > 0.0 else 0.0
        free = free or tau == 0.0
    assign(v, best)
    return tau, gap


@kernel
def _no_weight(H, c, weights) -> float:
    """A multiplier at which every weighted coordinate is zero: a gradient is below sqrt(c H_jj)."""
    largest = 0.0
    for j in range(len(weights)):
        if 0.0 < weights[j] < FORBIDDEN:
            largest = max(largest, np.sqrt(c * H[j, j]) / weights[j])
    return largest


@kernel
def _norm_slope(shared, v, cost) -> float:
    """How fast the ball's norm falls as its multiplier grows, with the signs of v fixed."""
    pull = cost.weights * np.sign(v)
    return np.dot(pull, solve_active(shared, v, cost, pull))


@kernel
def _inside(outer, inner, weights, radius):
    """The point nearest to `outer` on the way from `inner`, which is inside, that is in the ball too.

    Where the norm jumps with the multiplier, the optimum lies between the rows on both sides of the jump.
    """
    size, room = np.sum(weights * np.abs(outer)), np.sum(weights * np.abs(inner))
    if size <= radius:
        return outer.copy()
    part = max((radius - room) / (size - room), 0.0)
    mixed = part * outer + (1.0 - part) * inner
    return mixed * min(1.0, radius / np.sum(weights * np.abs(mixed)))


@kernel
def _gap_inside(H, g, c, v, cost, radius, stop):
    """The gap of a row in the ball, and the gap wanted."""
    q = -g
    add_product(H, q, v)
    fit = residual(q, g, c, v)
    spare = cost.tau * (radius - np.sum(cost.weights * np.abs(v)))
    objective = 0.5 * fit + value(v, Cost(cost.alpha, cost.knee, cost.weights, 0.0))
    return duality_gap(q, fit, v, cost) + spare, max(stop.absolute, stop.relative * objective)
