"""Gradients of phi: from that of x to that of z.

A componentwise phi needs no rule: its slope is a difference quotient. Where phi jumps its gradient is that of
the pieces beside the jump.
"""

from collections.abc import Callable

import numpy as np

from sim_compress.activations import Activation
from sim_compress.activations.kind import Attributes
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse import groups, several
from sim_compress.runtime.reverse.rule import Rule, no_gradient

# Step of a difference quotient, relative to z from 1 on: the middle between its own error and float32's.
STEP = 2.0**-10


def _of_state(slope: Callable[[Array], Array]) -> Rule:
    """A componentwise phi whose slope follows from its state."""
    return lambda _z, x, dx, _a: dx * slope(x)


def _plain(slope: Callable[[Array, Attributes], Array]) -> Rule:
    return lambda z, _x, dx, a: dx * slope(z, a)


RULES: dict[str, Rule] = {
    "sigmoid": _of_state(lambda x: x * (1 - x)),
    "tanh": _of_state(lambda x: 1 - x * x),
    "exp": _of_state(lambda x: x),
    "reciprocal": _of_state(lambda x: -x * x),
    "leaky_relu": _plain(lambda z, a: np.where(z > 0, z.dtype.type(1), z.dtype.type(a["slope"]))),
    "thresholded_relu": _of_state(lambda x: x != 0),
    "hard_swish": _plain(lambda z, _: np.where(np.abs(z) < 3, z / np.float32(3) + np.float32(0.5), z > 0)),
    "hard_sigmoid": lambda _z, x, dx, a: dx * np.float32(a["alpha"]) * ((x > 0) & (x < 1)),
    "shrink": _plain(lambda z, a: np.abs(z) > a["lambda"]),
    **dict.fromkeys(("floor", "ceil", "round", "truncate", "sign", "nonzero", "not"), no_gradient),
    **groups.RULES,
    **several.RULES,
}
# What the sums do by themselves (Rows.forward): x is where z was, and its gradient becomes that of z.
IN_PLACE: dict[str, Callable[[Array, Array], object]] = {
    "identity": lambda _x, _dx: None,
    "relu": lambda x, dx: np.multiply(dx, x > 0, out=dx),
}


def pulled_back(phi: Activation, z: Array, x: Array, dx: Array) -> Array:
    """The gradient of z (*z_shape, lanes) from that of x (*x_shape, lanes); zero where it is not finite."""
    with np.errstate(all="ignore"):
        rule = RULES.get(phi.name)
        found = _quotient(phi, z, dx) if rule is None else rule(z, x, dx, phi.attributes)
    if not np.isfinite(found).all():
        found = np.where(np.isfinite(found), found, 0)
    return found.astype(np.float32, copy=False)


def _quotient(phi: Activation, z: Array, dx: Array) -> Array:
    step = np.maximum(np.abs(z), 1) * np.float32(STEP)
    high, low = z + step, z - step
    return dx * (phi(high) - phi(low)) / (high - low)
