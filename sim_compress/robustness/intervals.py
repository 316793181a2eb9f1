"""What a phi makes of a box: by monotony, by its one lowest point, or by its Lipschitz constant."""

from collections.abc import Callable

import numpy as np

from sim_compress.activations import Activation
from sim_compress.activations.parts import split
from sim_compress.errors import UnsupportedError
from sim_compress.model import StateBlock
from sim_compress.model.maps import Array
from sim_compress.robustness.boxes import Box

# How far a phi that is computed in float32 is off, relative to its state and its pre-activation: some units
# in the last place, and the cancellation in gelu and mish.
ROUNDING = 2.0**-20
# Nothing but comparisons.
EXACT = {"identity", "relu", "abs", "clip", "max_pool", "reduce_max", "reduce_min", "maximum", "minimum"}
EXACT |= {"floor", "ceil", "round", "truncate", "sign"}

# Grows, or stays, with each of its entries; of some where an attribute has a sign.
GROWING = EXACT - {"abs"} | {
    *("sigmoid", "tanh", "softplus", "exp", "log", "sqrt", "erf", "softsign", "atan", "asinh", "sinh"),
    *("reduce_log_sum_exp", "reduce_log_sum"),
}
GROWING_WHERE: dict[str, Callable[[Activation], bool]] = {
    "leaky_relu": lambda phi: phi.attributes["slope"] >= 0,
    "prelu": lambda phi: bool(np.all(np.asarray(phi.attributes["slopes"]) >= 0)),
    "elu": lambda phi: phi.attributes["alpha"] >= 0,
    "selu": lambda phi: min(phi.attributes["alpha"], phi.attributes["gamma"]) >= 0,
    "celu": lambda phi: phi.attributes["alpha"] > 0,
    "hard_sigmoid": lambda phi: phi.attributes["alpha"] >= 0,
    "thresholded_relu": lambda phi: phi.attributes["alpha"] >= 0,
}
# Falls, then grows: where it is lowest, and a little less than its value there.
LOWEST: dict[str, tuple[float, float]] = {
    "abs": (0.0, 0.0),
    "square": (0.0, 0.0),
    "cosh": (0.0, 1.0),
    "gelu": (-0.75179, -0.1699713),
    "gelu_tanh": (-0.75246, -0.1700420),
    "mish": (-1.19241, -0.3088435),
    "hard_swish": (-1.5, -0.3750001),
}
SWISH_LOWEST = (-1.278465, -0.2784646)
# How far the place itself may be off.
PLACE = 1e-4
BILINEAR = ("product", "matmul")


def state_box(block: StateBlock, z: Box) -> Box:
    """Where the state of a block lies from where its pre-activation does, with the rounding of phi.

    Raises:
        UnsupportedError: phi has no rule and no Lipschitz constant.
    """
    phi = block.phi
    with np.errstate(all="ignore"):
        found = _exactly(block, z)
        return found if phi.name in EXACT else found.widened(_rounding(block, z, found))


def _exactly(block: StateBlock, z: Box) -> Box:
    phi = block.phi
    if phi.name in GROWING or (phi.name in GROWING_WHERE and GROWING_WHERE[phi.name](phi)):
        return Box(phi(z.low), phi(z.high)).widened(np.zeros(()))
    if phi.name in LOWEST:
        return _one_lowest(phi, z, *LOWEST[phi.name])
    if phi.name == "swish" and phi.attributes["alpha"] > 0:
        return _one_lowest(phi, z, *(v / phi.attributes["alpha"] for v in SWISH_LOWEST))
    if phi.name == "softmax":
        return _softmax(z, tuple(phi.attributes["axes"]))
    if phi.name in BILINEAR:
        return _bilinear(phi, z)
    return _lipschitz(block, z)


def _one_lowest(phi: Activation, z: Box, place: float, value: float) -> Box:
    ends = phi(z.low), phi(z.high)
    holds = (z.low <= place + PLACE) & (z.high >= place - PLACE)
    return Box(np.where(holds, value, np.minimum(*ends)), np.maximum(*ends))


def _softmax(z: Box, axes: tuple[int, ...]) -> Box:
    """An entry grows with its own pre-activation and falls with all others."""

    def extreme(own: Array, others: Array) -> Array:
        largest = np.maximum(own, others).max(axis=axes, keepdims=True)
        mine, theirs = np.exp(own - largest), np.exp(others - largest)
        rest = np.maximum(theirs.sum(axis=axes, keepdims=True) - theirs, 0)
        return mine / (mine + rest)

    return Box(extreme(z.low, z.high), extreme(z.high, z.low))


def _bilinear(phi: Activation, z: Box) -> Box:
    """With centres c and radii r of both parts: within |c1| r2 + r1 |c2| + r1 r2 of c1 c2."""
    parts = phi.attributes["parts"]

    def product(left: Array, right: Array) -> Array:
        one, other = split(left, parts)[0], split(right, parts)[1]
        return phi(np.concatenate([a.reshape(-1, z.low.shape[-1]) for a in (one, other)]))

    c, r = z.centre, z.radius
    radius = product(np.abs(c), r) + product(r, np.abs(c)) + product(r, r)
    centre = product(c, c)
    return Box(centre - radius, centre + radius)


def _lipschitz(block: StateBlock, z: Box) -> Box:
    slope = block.phi.lipschitz(block.affine.shape)
    if not np.isfinite(slope):
        raise UnsupportedError(
            f"nothing bounds what phi = {block.phi.name} of block {block.name!r} makes of a box: it has no "
            "Lipschitz constant and no rule here; attacks (--attack) need none"
        )
    radius = z.radius
    if not block.phi.kind.componentwise:
        # The constant is of the largest change of all entries.
        radius = radius.max(axis=tuple(range(radius.ndim - 1)), initial=0)
    centre = block.phi(z.centre)
    return Box(centre - slope * radius, centre + slope * radius)


def _rounding(block: StateBlock, z: Box, x: Box) -> Array:
    """Of phi in float32, of the shape of the state."""
    if block.phi.kind.componentwise:
        return ROUNDING * (x.largest + z.largest)
    entries = np.prod(block.affine.shape)
    size = z.largest.max(axis=tuple(range(z.low.ndim - 1)), initial=0)
    if block.phi.name in BILINEAR:
        size = size * size
    slope = block.phi.lipschitz(block.affine.shape)
    return ROUNDING * entries * (x.largest + (slope if np.isfinite(slope) else 1.0) * size)
