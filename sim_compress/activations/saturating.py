"""Phi that level off on both sides: sigmoids and steps with a slope."""

import math

import numpy as np
from scipy import special

from sim_compress.activations.kind import NEARLY, Array, Attributes, Kind, Shape, constant, flat, flat_beyond
from sim_compress.activations.rectifying import sigmoid


def _clip_shape(shape: Shape, a: Attributes) -> Shape:
    if math.isnan(a["low"]) or math.isnan(a["high"]):
        raise ValueError("clip between bounds that are not numbers")
    return shape


def _hard_sigmoid(z: Array, a: Attributes) -> Array:
    return np.clip(z * np.asarray(a["alpha"], z.dtype) + np.asarray(a["beta"], z.dtype), 0, 1)


def _ends(a: Attributes) -> tuple[tuple[float, float], ...]:
    """Where hard_sigmoid is 0 and where it is 1."""
    if a["alpha"] == 0:
        return ((-math.inf, math.inf),)
    low, high = sorted((-a["beta"] / a["alpha"], (1 - a["beta"]) / a["alpha"]))
    return ((-math.inf, low), (high, math.inf))


KINDS: dict[str, Kind] = {
    "clip": Kind(
        'min(max(z, low), high); a bound is a number, `"inf"` or `"-inf"`',
        lambda z, a: np.minimum(np.maximum(z, np.asarray(a["low"], z.dtype)), np.asarray(a["high"], z.dtype)),
        state_shape=_clip_shape,
        nearest=flat(lambda a: ((-math.inf, a["low"]), (a["high"], math.inf))),
        attributes=("low", "high"),
    ),
    "sigmoid": Kind(
        "1 / (1 + exp(-z))",
        lambda z, _: sigmoid(z),
        lipschitz=constant(0.25),
        nearest=flat_beyond(math.log(1 / NEARLY - 1)),
    ),
    "tanh": Kind("tanh(z)", lambda z, _: np.tanh(z), nearest=flat_beyond(math.atanh(1 - NEARLY))),
    "hard_sigmoid": Kind(
        "min(max(alpha z + beta, 0), 1)",
        _hard_sigmoid,
        lipschitz=lambda a, _: abs(a["alpha"]),
        nearest=flat(_ends),
        attributes=("alpha", "beta"),
    ),
    "softsign": Kind("z / (1 + |z|)", lambda z, _: z / (1 + np.abs(z))),
    "erf": Kind(
        "erf(z)",
        lambda z, _: special.erf(z),
        lipschitz=constant(2 / math.sqrt(math.pi)),
        nearest=flat_beyond(float(special.erfinv(1 - NEARLY))),
    ),
}
