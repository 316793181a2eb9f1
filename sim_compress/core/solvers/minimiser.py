"""One row's minimiser: coordinate descent, and Newton steps where they are cheaper."""

from typing import NamedTuple

import numpy as np

from sim_compress.compilation import inlined, part
from sim_compress.core.solvers.cost import duality_gap, residual, value
from sim_compress.core.solvers.descent import add_product, nonzero, sweep
from sim_compress.core.solvers.newton import step

# Passes over the active coordinates between two over all of them.
PASSES = 10
# Active passes stop when they move coordinates by less than this part of the full pass.
SETTLED = 0.1


class Stop(NamedTuple):
    """When a row is done: its gap is below relative * objective or below absolute, or sweeps run out."""

    relative: float
    absolute: float
    sweeps: int


@part
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
    H, q, everything = shared.H, np.empty(len(v)), np.empty(len(v), np.int64)
    for j in range(len(v)):
        q[j], everything[j] = -g[j], j
    add_product(H, q, v)
    previous, gap, newton = np.inf, np.inf, False
    for _ in range(stop.sweeps):
        moved = sweep(H, q, v, cost, everything)
        fit = residual(q, g, c, v)
        gap = duality_gap(q, fit, v, cost)
        wanted = max(stop.absolute, stop.relative * (0.5 * fit + value(v, cost)))
        if gap <= wanted or moved == 0.0:
            break
        active = nonzero(v)
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


@inlined
def _newton_pays(ratio, wanted, active, features) -> bool:
    """Whether the rounds still needed at the present rate cost more than two Newton steps."""
    if ratio >= 1.0:
        return ratio < np.inf
    rounds = np.log(wanted) / np.log(ratio) if ratio > 0.0 else 0.0
    order = min(active, features - active) + 1
    return rounds * (1.0 + PASSES) * 2.0 * active * features > 2.0 * order**3 / 3.0 + 8.0 * active * features
