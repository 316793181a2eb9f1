"""Convolutions: tied rows, one per output channel, over patches."""

import numpy as np

from sim_compress.frontend.axes.rules.leading import windows
from sim_compress.frontend.operators.windows import same_padding, windows_of
from sim_compress.frontend.registry import Call, RefusalError, operator
from sim_compress.frontend.terms.rows import finite, rows_of
from sim_compress.model import Affine, Patches, Shape, chain_shape, picking
from sim_compress.model.maps import Array

LIMITS = "weight and bias are constants; 1-d, 2-d, 3-d; any stride, padding, group, dilation"


@operator("Conv", windows, becomes="tied rows, one per output channel", limits=LIMITS)
def conv(call: Call) -> Affine:
    weight, groups = call.constant(1), call.attribute("group", 1)
    x = call.joined(0, axis=0) if groups == 1 else call.single(0)
    if not x.shape or x.shape[0] != weight.shape[1] * groups or len(weight) % groups:
        raise RefusalError(f"weight {weight.shape} in {groups} groups on an activation of {x.shape}")
    patches = windows_of(call, x.shape, weight.shape[2:]).patches
    shape = (len(weight), *patches.out_shape(x.shape)[1:])
    z = rows_of(x, (patches,), weight.reshape(len(weight), -1), shape, groups=groups)
    return with_bias(z, call, 2)


def with_bias(z: Affine, call: Call, position: int) -> Affine:
    """The rows with the node's own bias, where it has one."""
    bias = finite(call.constant(position)) if call.has(position) else None
    return Affine(z.shape, z.terms, bias, z.row_axis)


@operator(
    "ConvTranspose",
    windows,
    becomes="zeros between the entries, then tied rows, one per output channel",
    limits=LIMITS + ", output_padding, output_shape",
)
def conv_transpose(call: Call) -> Affine:
    weight, groups = call.constant(1), call.attribute("group", 1)
    x = call.joined(0, axis=0) if groups == 1 else call.single(0)
    if not x.shape or x.shape[0] != len(weight) or len(weight) % groups:
        raise RefusalError(f"weight {weight.shape} in {groups} groups on an activation of {x.shape}")
    kernel = weight.shape[2:]
    spatial = len(kernel)
    if spatial != len(x.shape) - 1:
        raise RefusalError(f"kernel {kernel} does not fit an activation of shape {x.shape}")
    ones = (1,) * spatial
    dilations = tuple(call.attribute("dilations") or ones)
    spread = [
        picking(axis + 1, places, x.shape[axis + 1])
        for axis, places in enumerate(_spread(call, x.shape[1:], kernel, dilations))
    ]
    patches = Patches(kernel, ones, dilations, (0,) * spatial, (0,) * spatial)
    inner = chain_shape((*spread, patches), x.shape)
    rows = _transposed(weight, groups)
    return with_bias(rows_of(x, (*spread, patches), rows, (len(rows), *inner[1:]), groups=groups), call, 2)


def _transposed(weight: Array, groups: int) -> Array:
    """Rows (rows, channels / groups * kernel) of a weight (channels, rows / groups, *kernel)."""
    channels, rows = len(weight), weight.shape[1] * groups
    split = weight.reshape(groups, channels // groups, *weight.shape[1:])
    flipped = np.flip(split, axis=tuple(range(3, split.ndim)))
    return np.swapaxes(flipped, 1, 2).reshape(rows, -1)


def _spread(call: Call, spatial: Shape, kernel: Shape, dilations: Shape) -> list[list[int]]:
    """For each spatial axis, which entry stands where before the rows slide over it; -1 is a zero."""
    strides = tuple(call.attribute("strides") or (1,) * len(spatial))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    before, after = _crop(call, spatial, strides, spans)
    return [_places(*sizes) for sizes in zip(spatial, strides, spans, before, after, strict=True)]


def _places(size: int, stride: int, span: int, before: int, after: int) -> list[int]:
    spread = [i // stride if i % stride == 0 else -1 for i in range((size - 1) * stride + 1)]
    full = [-1] * (span - 1) + spread + [-1] * (span - 1 + max(-after, 0))
    if before < 0:
        full = [-1] * -before + full
    return full[max(before, 0) : len(full) - max(after, 0)]


def _crop(call: Call, spatial: Shape, strides: Shape, spans: list[int]) -> tuple[Shape, Shape]:
    """What is cut off the full result of each axis before and after; negative where zeros are added."""
    none = (0,) * len(spatial)
    extra = tuple(call.attribute("output_padding") or none)
    pads = tuple(call.attribute("pads") or none * 2)
    full = [s * (n - 1) + span for n, s, span in zip(spatial, strides, spans, strict=True)]
    wanted, mode = call.attribute("output_shape"), call.attribute("auto_pad", "NOTSET")
    if wanted is None and mode in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(spatial, strides, strict=True)]
    if wanted is None:
        if mode == "VALID":
            pads = none * 2
        after = tuple(p - e for p, e in zip(pads[len(spatial) :], extra, strict=True))
        return pads[: len(spatial)], after
    total = [f + e - w for f, e, w in zip(full, extra, wanted[-len(spatial) :], strict=True)]
    before, after = same_padding([max(t, 0) for t in total], mode)
    return before, tuple(t - b - e for t, b, e in zip(total, before, extra, strict=True))
