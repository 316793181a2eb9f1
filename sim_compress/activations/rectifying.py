"""Rectifiers: phi that follow z on one side and bend on the other."""

import math

import numpy as np
from scipy import special

from sim_compress.activations.kind import (
    NEARLY,
    Array,
    Attributes,
    Kind,
    Shape,
    constant,
    flat,
    flat_below,
    unbounded,
)

# Largest slopes, rounded up: of gelu at sqrt(2), of silu at 2.3994, of mish at 1.4906, of hard_swish at 3.
GELU_SLOPE, GELU_TANH_SLOPE, SILU_SLOPE, MISH_SLOPE, HARD_SWISH_SLOPE = 1.12905, 1.1291, 1.09985, 1.08851, 1.5
# Below -3.5 gelu and below -9.3 silu and mish are within NEARLY of 0.
GELU_TAIL, SWISH_TAIL = -3.5, 9.3
TANH_SCALE, TANH_CUBE = math.sqrt(2 / math.pi), 0.044715


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)); where the exponential overflows that is 0."""
    return 1 / (1 + np.exp(-z))


def softplus(z: Array) -> Array:
    """log(1 + exp(z)) without overflow."""
    return np.logaddexp(z, np.asarray(0, z.dtype))


def _leaky_relu(z: Array, a: Attributes) -> Array:
    return np.where(z > 0, z, z * np.asarray(a["slope"], z.dtype))


def _prelu(z: Array, a: Attributes) -> Array:
    return np.where(z > 0, z, z * np.asarray(a["slopes"])[..., None].astype(z.dtype))


def _prelu_shape(shape: Shape, a: Attributes) -> Shape:
    slopes = np.shape(a["slopes"])
    if np.broadcast_shapes(slopes, shape) != shape:
        raise ValueError(f"slopes of shape {slopes} do not broadcast to {shape}")
    return shape


def _nearest_leaky(z: Array, found: Array, slope: Array) -> Array:
    """Below 0 an error counts slope^2 times: there the target is that part of the way from `found` to z."""
    weight = np.minimum(slope * slope, 1)
    below = np.minimum(found, 0)
    return np.where(z > 0, z, below + weight * (z - below))


def _thresholded_relu(z: Array, a: Attributes) -> Array:
    return np.where(z > a["alpha"], z, np.asarray(0, z.dtype))


def _elu(z: Array, a: Attributes) -> Array:
    return np.where(z > 0, z, np.asarray(a["alpha"], z.dtype) * np.expm1(np.minimum(z, 0)))


def _celu(z: Array, a: Attributes) -> Array:
    alpha = np.asarray(a["alpha"], z.dtype)
    return np.maximum(z, 0) + np.minimum(alpha * np.expm1(z / alpha), 0)


def _celu_shape(shape: Shape, a: Attributes) -> Shape:
    if a["alpha"] == 0:
        raise ValueError("celu with alpha = 0")
    return shape


def _gelu(z: Array, _: Attributes) -> Array:
    return z * np.asarray(0.5, z.dtype) * (1 + special.erf(z * np.asarray(math.sqrt(0.5), z.dtype)))


def _gelu_tanh(z: Array, _: Attributes) -> Array:
    scale, cube, half = (np.asarray(v, z.dtype) for v in (TANH_SCALE, TANH_CUBE, 0.5))
    return half * z * (1 + np.tanh(scale * (z + cube * z * z * z)))


def _swish(z: Array, a: Attributes) -> Array:
    return z * sigmoid(z * np.asarray(a["alpha"], z.dtype))


def _hard_swish(z: Array, _: Attributes) -> Array:
    return z * np.clip(z / np.asarray(6, z.dtype) + np.asarray(0.5, z.dtype), 0, 1)


def _shrink(z: Array, a: Attributes) -> Array:
    bias = np.asarray(a["bias"], z.dtype)
    return np.where(z < -a["lambda"], z + bias, np.where(z > a["lambda"], z - bias, np.asarray(0, z.dtype)))


def _shrink_slope(a: Attributes, _: Shape) -> float:
    return 1.0 if 0 <= a["lambda"] == a["bias"] else math.inf


def _level_tail(height: float) -> float:
    """Where height (exp(z) - 1) comes so near to -height that it counts as flat."""
    return min(math.log(NEARLY / abs(height)), 0.0) if height else 0.0


def _celu_tail(a: Attributes) -> tuple[tuple[float, float], ...]:
    return ((-math.inf, a["alpha"] * _level_tail(a["alpha"])),) if a["alpha"] > 0 else ()


def _swish_tail(a: Attributes) -> tuple[tuple[float, float], ...]:
    """Where z sigmoid(alpha z) is nearly 0; one of |alpha| below 1 takes longer to get there."""
    if abs(a["alpha"]) < 1:
        return ()
    end = SWISH_TAIL / a["alpha"]
    return ((-math.inf, -end),) if end > 0 else ((-end, math.inf),)


KINDS: dict[str, Kind] = {
    "relu": Kind(
        "max(z, 0)",
        lambda z, _: np.maximum(z, 0),
        nearest=flat_below(0.0),
    ),
    "leaky_relu": Kind(
        "z above 0, slope z below",
        _leaky_relu,
        lipschitz=lambda a, _: max(1.0, abs(a["slope"])),
        nearest=lambda z, found, a: _nearest_leaky(z, found, np.asarray(a["slope"], z.dtype)),
        attributes=("slope",),
    ),
    "prelu": Kind(
        "z above 0, slopes z below; slopes, a constant, broadcasts to z",
        _prelu,
        lipschitz=lambda a, _: max(1.0, float(np.abs(a["slopes"]).max(initial=0.0))),
        state_shape=_prelu_shape,
        nearest=lambda z, found, a: _nearest_leaky(
            z, found, np.asarray(a["slopes"])[..., None].astype(z.dtype)
        ),
        attributes=("slopes",),
    ),
    "thresholded_relu": Kind(
        "z above alpha, else 0",
        _thresholded_relu,
        lipschitz=lambda a, _: 1.0 if a["alpha"] == 0 else math.inf,
        nearest=flat(lambda a: ((-math.inf, a["alpha"]),)),
        attributes=("alpha",),
    ),
    "elu": Kind(
        "z above 0, alpha (exp(z) - 1) below",
        _elu,
        lipschitz=lambda a, _: max(1.0, abs(a["alpha"])),
        nearest=flat(lambda a: ((-math.inf, _level_tail(a["alpha"])),)),
        attributes=("alpha",),
    ),
    "selu": Kind(
        "gamma times elu(z)",
        lambda z, a: np.asarray(a["gamma"], z.dtype) * _elu(z, a),
        lipschitz=lambda a, _: abs(a["gamma"]) * max(1.0, abs(a["alpha"])),
        nearest=flat(lambda a: ((-math.inf, _level_tail(a["gamma"] * a["alpha"])),)),
        attributes=("alpha", "gamma"),
    ),
    "celu": Kind(
        "max(z, 0) + min(alpha (exp(z / alpha) - 1), 0)",
        _celu,
        lipschitz=lambda a, _: 1.0 if a["alpha"] > 0 else math.inf,
        state_shape=_celu_shape,
        nearest=flat(_celu_tail),
        attributes=("alpha",),
    ),
    "softplus": Kind(
        "log(1 + exp(z))", lambda z, _: softplus(z), nearest=flat_below(math.log(math.expm1(NEARLY)))
    ),
    "gelu": Kind(
        "z (1 + erf(z / sqrt(2))) / 2",
        _gelu,
        lipschitz=constant(GELU_SLOPE),
        nearest=flat_below(GELU_TAIL),
    ),
    "gelu_tanh": Kind(
        "z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2",
        _gelu_tanh,
        lipschitz=constant(GELU_TANH_SLOPE),
        nearest=flat_below(GELU_TAIL),
    ),
    "swish": Kind(
        "z sigmoid(alpha z)",
        _swish,
        lipschitz=constant(SILU_SLOPE),
        nearest=flat(_swish_tail),
        attributes=("alpha",),
    ),
    "hard_swish": Kind(
        "z min(max(z / 6 + 1/2, 0), 1)",
        _hard_swish,
        lipschitz=constant(HARD_SWISH_SLOPE),
        nearest=flat_below(-3.0),
    ),
    "mish": Kind(
        "z tanh(log(1 + exp(z)))",
        lambda z, _: z * np.tanh(softplus(z)),
        lipschitz=constant(MISH_SLOPE),
        nearest=flat_below(-SWISH_TAIL),
    ),
    "shrink": Kind(
        "z + bias below -lambda, z - bias above lambda, else 0",
        _shrink,
        lipschitz=_shrink_slope,
        nearest=flat(lambda a: ((-a["lambda"], a["lambda"]),)),
        attributes=("lambda", "bias"),
    ),
    "abs": Kind("|z|", lambda z, _: np.abs(z)),
    "square": Kind("z^2", lambda z, _: z * z, lipschitz=unbounded),
}
