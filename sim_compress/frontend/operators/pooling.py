"""Average pooling and reductions as fixed maps; max pooling as a phi on groups of pre-activations."""

from functools import reduce
from math import prod

import numpy as np

from sim_compress.activations import Activation
from sim_compress.frontend.axes.rules.leading import over_space, windows
from sim_compress.frontend.axes.rules.reducing import reduces
from sim_compress.frontend.operators.reducing import reduced_axes
from sim_compress.frontend.operators.windows import Windows, windows_of
from sim_compress.frontend.registry import Activated, Call, operator
from sim_compress.frontend.terms.expressions import check_spread, mapped
from sim_compress.model import Affine, Patches, Reshape, Scale, Shape, Sum
from sim_compress.model.maps import Array


@operator("AveragePool", windows, becomes="patches, sum, scale")
def average_pool(call: Call) -> Affine:
    x = call.unweighted(0)
    windows = windows_of(call, x.shape, tuple(call.attribute("kernel_shape")))
    spread = mapped(x, windows.patches)
    channels, size = x.shape[0], prod(windows.kernel)
    split = mapped(spread, Reshape((channels, size, *spread.shape[1:])), Sum((1,)))
    counts = _counts(windows, x.shape[1:], bool(call.attribute("count_include_pad", 0)))
    return mapped(split, Scale((1 / counts).astype(np.float32)))


def _counts(windows: Windows, spatial: Shape, include_pad: bool) -> Array:
    """Elements in every window, (1, *out); padding counts when asked, what ceil_mode adds never."""
    along = []
    for axis, size in enumerate(spatial):
        padding = (windows.before[axis], windows.after[axis])
        padded = np.pad(np.ones((1, size, 1)), [(0, 0), padding, (0, 0)], constant_values=float(include_pad))
        own = slice(axis, axis + 1)
        patches = Patches(
            windows.kernel[own], windows.strides[own], windows.dilations[own], (0,), windows.excess[own]
        )
        along.append(patches.apply(padded).sum(axis=0)[..., 0])
    # A window that holds padding alone averages to zero whatever it is divided by.
    return np.maximum(reduce(np.multiply.outer, along), 1)[None]


@operator("GlobalAveragePool", over_space, becomes="sum, scale")
def global_average_pool(call: Call) -> Affine:
    x = call.unweighted(0)
    return _reduced(x, tuple(range(1, len(x.shape))), 1 / prod(x.shape[1:]), True)


@operator("ReduceMean", reduces, becomes="sum, scale", limits="not along the batch axis")
def reduce_mean(call: Call) -> Affine:
    x = call.unweighted(0)
    axes = reduced_axes(call)
    return _reduced(x, axes, 1 / prod(x.shape[a] for a in axes), call.keeps_axes)


@operator("ReduceSum", reduces, becomes="sum", limits="not along the batch axis")
def reduce_sum(call: Call) -> Affine:
    x = call.unweighted(0)
    return _reduced(x, reduced_axes(call), 1.0, call.keeps_axes)


def _reduced(x: Affine, axes: tuple[int, ...], factor: float, keepdims: bool) -> Affine:
    if not axes:
        return x
    kept = tuple(1 if a in axes else s for a, s in enumerate(x.shape))
    scale = () if factor == 1.0 else (Scale(np.asarray(factor, np.float32)),)
    return mapped(x, Sum(axes), *scale, *((Reshape(kept),) if keepdims else ()))


@operator("MaxPool", windows, becomes="state block with phi = max_pool", limits="without the Indices output")
def max_pool(call: Call) -> Activated:
    x = call.affine(0)
    windows = windows_of(call, x.shape, tuple(call.attribute("kernel_shape")))
    check_spread((windows.patches,), x.shape)
    return _max(x, windows)


@operator("GlobalMaxPool", over_space, becomes="state block with phi = max_pool")
def global_max_pool(call: Call) -> Activated:
    x = call.affine(0)
    ones, zeros = (1,) * (len(x.shape) - 1), (0,) * (len(x.shape) - 1)
    return _max(x, Windows(x.shape[1:], ones, ones, zeros, zeros, zeros))


def _max(x: Affine, windows: Windows) -> Activated:
    attributes = {
        "kernel": windows.kernel,
        "strides": windows.strides,
        "dilations": windows.dilations,
        "pads_begin": windows.before,
        "pads_end": windows.end,
    }
    return Activated(x, Activation("max_pool", attributes))
