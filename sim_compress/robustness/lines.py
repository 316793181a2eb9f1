"""Lines below and above a phi on an interval: a z + b <= phi(z) <= c z + d, for backward bounds."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from sim_compress.activations import Activation
from sim_compress.activations.kind import Attributes
from sim_compress.model import StateBlock
from sim_compress.model.maps import Array
from sim_compress.robustness.boxes import Box


@dataclass(frozen=True, eq=False)
class Lines:
    """Slopes and heights at 0 of the lines below and above, (*shape, samples)."""

    low_slope: Array
    low_height: Array
    high_slope: Array
    high_height: Array


# Of phi that are steepest around 0: the slope at z. On an interval the least is at one of its ends.
BENT: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda z: special.expit(z) * special.expit(-z),
    "tanh": lambda z: 1 / np.cosh(np.clip(z, -300, 300)) ** 2,
    "erf": lambda z: 2 / np.sqrt(np.pi) * np.exp(-z * z),
    "softsign": lambda z: 1 / (1 + np.abs(z)) ** 2,
    "atan": lambda z: 1 / (1 + z * z),
}
# A slope taken too large would cut through phi.
LESS = 1 - 1e-9


def lines(block: StateBlock, z: Box) -> Lines | None:
    """For the pre-activations of a block in a box; None where phi has none here.

    The lines hold for phi in exact arithmetic, up to rounding in float64.
    """
    phi = block.phi
    if phi.name == "identity":
        one, zero = np.ones(z.low.shape), np.zeros(z.low.shape)
        return Lines(one, zero, one, zero)
    bend = _bend(phi.name, phi.attributes)
    if bend is not None:
        return _rectifier(bend, z)
    return _bent(phi, BENT[phi.name], z) if phi.name in BENT else None


def _bend(name: str, a: Attributes) -> Array | None:
    """Slope below 0 of a phi of slope 1 above; None where it is no such phi, or not convex."""
    if name == "relu":
        return np.zeros(())
    slope = {"leaky_relu": "slope", "prelu": "slopes"}.get(name)
    if slope is None:
        return None
    found = np.asarray(a[slope], np.float64)
    if not ((found >= 0) & (found <= 1)).all():
        return None
    return found[..., None] if name == "prelu" else found


def _rectifier(bend: Array, z: Box) -> Lines:
    """Above the chord; below the side that leaves less between them."""
    slope = np.broadcast_to(bend, z.low.shape)
    dead, alive = z.high <= 0, z.low >= 0
    crosses = ~(dead | alive)
    width = np.where(crosses, z.high - z.low, 1)
    chord = np.where(crosses, (z.high - slope * z.low) / width, np.where(alive, 1, slope))
    # Through (high, high).
    height = np.where(crosses, (1 - chord) * z.high, 0)
    low = np.where(crosses, np.where(z.high > -z.low, 1, slope), chord)
    return Lines(low, np.zeros(z.low.shape), chord, height)


def _bent(phi: Activation, slope: Callable[[Array], Array], z: Box) -> Lines:
    """Both of the least slope on the interval, through its ends."""
    least = LESS * np.minimum(slope(z.low), slope(z.high))
    return Lines(least, phi(z.low) - least * z.low, least, phi(z.high) - least * z.high)
