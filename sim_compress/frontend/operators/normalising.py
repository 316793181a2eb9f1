"""Normalisations: state blocks that work along axes, learned scales and shifts behind them."""

from math import prod

import numpy as np

from sim_compress.activations import Activation
from sim_compress.frontend.axes.rules import along
from sim_compress.frontend.axes.rules.leading import channels
from sim_compress.frontend.operators.activation import becomes
from sim_compress.frontend.registry import Activated, Call, RefusalError, operator, rewritten
from sim_compress.frontend.terms.expressions import finite, mapped
from sim_compress.model import LinearMap, Offset, Reshape, Scale, Shape
from sim_compress.model.maps import Array

NOT_SAMPLES = "not along the batch axis"
BEHIND = "learned scale and shift behind it as fixed maps"
# Softmax and its kin took all axes from one on as one, up to this operator set.
FLAT_SOFTMAX = 12
EPSILON = 1e-5
DEVIATION_EPSILON = 1e-9


def _softmax(call: Call, phi: str) -> Activated:
    x = call.affine(0)
    if call.opset > FLAT_SOFTMAX:
        axes = (call.attribute("axis"),)
    else:
        axes = tuple(range(call.attribute("axis"), len(x.shape)))
    return Activated(x, Activation(phi, {"axes": axes}))


@operator("Softmax", along.softmax, becomes=becomes("softmax"), limits=NOT_SAMPLES)
def softmax(call: Call) -> Activated:
    return _softmax(call, "softmax")


@operator("LogSoftmax", along.softmax, becomes=becomes("log_softmax"), limits=NOT_SAMPLES)
def log_softmax(call: Call) -> Activated:
    return _softmax(call, "log_softmax")


@operator("Hardmax", along.softmax, becomes=becomes("hardmax"), limits=NOT_SAMPLES)
def hardmax(call: Call) -> Activated:
    return _softmax(call, "hardmax")


@operator("LayerNormalization", along.from_axis, becomes=becomes("layer_norm"), limits=BEHIND)
def layer_normalization(call: Call) -> Activated:
    return _normalised(call, "layer_norm")


@operator("RMSNormalization", along.from_axis, becomes=becomes("rms_norm"), limits=BEHIND)
def rms_normalization(call: Call) -> Activated:
    return _normalised(call, "rms_norm")


def _normalised(call: Call, phi: str) -> Activated:
    x = call.affine(0)
    axes = tuple(range(call.attribute("axis"), len(x.shape)))
    scale = call.constant(1)
    shift = call.constant(2) if call.has(2) else np.zeros(())
    attributes = {"axes": axes, "epsilon": call.attribute("epsilon", EPSILON)}
    return Activated(x, Activation(phi, attributes), _behind(scale, shift))


def _behind(scale: Array, shift: Array) -> tuple[LinearMap, ...]:
    """A learned scale and shift as maps, left out where they change nothing."""
    maps: tuple[LinearMap, ...] = () if (scale == 1).all() else (Scale(finite(scale)),)
    return maps if (shift == 0).all() else (*maps, Offset(finite(shift)))


def _per_channel(call: Call, shape: Shape) -> tuple[LinearMap, ...]:
    """Scale and shift that are one number a channel, or one for each group of channels, as maps."""

    def column(values: Array) -> Array:
        if shape[0] % values.size:
            raise RefusalError(f"{values.size} scales do not fit {shape[0]} channels")
        return np.repeat(values.ravel(), shape[0] // values.size).reshape(-1, *(1,) * (len(shape) - 1))

    return _behind(column(call.constant(1)), column(call.constant(2)))


@operator("InstanceNormalization", channels, becomes=becomes("layer_norm"), limits=BEHIND)
def instance_normalization(call: Call) -> Activated:
    x = call.affine(0)
    if len(x.shape) < 2:
        raise RefusalError("has no spatial axes")
    axes = tuple(range(1, len(x.shape)))
    phi = Activation("layer_norm", {"axes": axes, "epsilon": call.attribute("epsilon", EPSILON)})
    return Activated(x, phi, _per_channel(call, x.shape))


@operator("GroupNormalization", channels, becomes=becomes("layer_norm"), limits=BEHIND)
def group_normalization(call: Call) -> Activated:
    x, groups = call.unweighted(0), call.attribute("num_groups")
    if not x.shape or groups < 1 or x.shape[0] % groups:
        raise RefusalError(f"{groups} groups do not divide the channels of {x.shape}")
    grouped = mapped(x, Reshape((groups, prod(x.shape) // groups)))
    phi = Activation("layer_norm", {"axes": (1,), "epsilon": call.attribute("epsilon", EPSILON)})
    return Activated(grouped, phi, (Reshape(x.shape), *_per_channel(call, x.shape)))


@operator(
    "MeanVarianceNormalization",
    along.several_axes((0, 2, 3)),
    becomes=becomes("layer_norm"),
    limits=NOT_SAMPLES,
)
def mean_variance_normalization(call: Call) -> Activated:
    x = call.affine(0)
    axes = sorted(call.attribute("axes"))
    # ONNX adds this to the deviation, which in float32 is the same.
    return Activated(x, Activation("layer_norm", {"axes": tuple(axes), "epsilon": DEVIATION_EPSILON**2}))


@operator("LpNormalization", along.along(), becomes=becomes("lp_norm"), limits=NOT_SAMPLES)
def lp_normalization(call: Call) -> Activated:
    x = call.affine(0)
    axes = (call.attribute("axis"),)
    return Activated(x, Activation("lp_norm", {"axes": axes, "p": call.attribute("p", 2), "epsilon": 0.0}))


rewritten(
    "TopK",
    along.largest,
    "reducing",
    becomes="comparisons of all pairs, and products with the rows that they choose",
    limits=f"constant k, an axis of at most {along.LONGEST_SORTED}; " + NOT_SAMPLES,
)


@operator("LRN", channels, becomes=becomes("lrn"))
def lrn(call: Call) -> Activated:
    defaults = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    numbers = {name: call.attribute(name, default) for name, default in defaults.items()}
    return Activated(call.affine(0), Activation("lrn", {"size": call.attribute("size"), **numbers}))
