"""Rearrangements: fixed maps that move entries and leave the batch axis alone."""

from itertools import accumulate
from math import prod

from sim_compress.frontend.expressions import concatenated, mapped
from sim_compress.frontend.registry import Call, RefusalError, feature_axis, operator
from sim_compress.model import Affine, Pad, Reshape, Slice, Transpose
from sim_compress.model.maps import Array

KEEPS_BATCH = "the batch axis stays first"


@operator("Identity", becomes="nothing")
def identity(call: Call) -> Affine:
    return call.affine(0)


@operator("Dropout", becomes="nothing", limits="inference mode, without the mask output")
def dropout(call: Call) -> Affine:
    if call.has(2) and call.constant(2).any():
        raise RefusalError("is in training mode")
    return call.affine(0)


@operator("Reshape", becomes="a reshape", limits=KEEPS_BATCH)
def reshape(call: Call) -> Affine:
    x, target = call.unweighted(0), call.numbers("shape", 1) or ()
    beyond = target[len(x.shape) + 1 :]
    if not target or 0 in beyond or (0 in target and call.attribute("allowzero", 0)):
        raise RefusalError(f"its target {target} does not fit {('batch', *x.shape)}")
    # 0 copies the axis at the same place.
    sizes = [x.shape[i - 1] if t == 0 and i else t for i, t in enumerate(target)][1:]
    known = prod(s for s in sizes if s > 0)
    shape = tuple(prod(x.shape) // known if s < 0 else s for s in sizes)
    if target[0] > 0 or prod(shape) != prod(x.shape):
        raise RefusalError(f"its target {target} moves the batch axis of {('batch', *x.shape)}")
    return mapped(x, Reshape(shape))


@operator("Flatten", becomes="a reshape", limits=KEEPS_BATCH)
def flatten(call: Call) -> Affine:
    x, axis = call.unweighted(0), call.attribute("axis", 1)
    rank = len(x.shape) + 1
    axis = axis + rank if axis < 0 else axis
    if axis == 0 or prod(x.shape[: axis - 1]) != 1:
        raise RefusalError("merges feature axes into the batch axis")
    return mapped(x, Reshape((prod(x.shape),)))


@operator("Squeeze", becomes="a reshape", limits="with axes; " + KEEPS_BATCH)
def squeeze(call: Call) -> Affine:
    x, axes = call.unweighted(0), call.numbers("axes", 1)
    if axes is None:
        raise RefusalError("has no axes, so that it would drop the batch axis of a single sample")
    gone = {feature_axis(a, len(x.shape)) for a in axes}
    return mapped(x, Reshape(tuple(s for i, s in enumerate(x.shape) if i not in gone)))


@operator("Unsqueeze", becomes="a reshape", limits=KEEPS_BATCH)
def unsqueeze(call: Call) -> Affine:
    x, axes = call.unweighted(0), call.numbers("axes", 1) or ()
    rank = len(x.shape) + len(axes)
    fresh = {feature_axis(a, rank) for a in axes}
    sizes = iter(x.shape)
    return mapped(x, Reshape(tuple(1 if i in fresh else next(sizes) for i in range(rank))))


@operator("Transpose", becomes="a transpose", limits=KEEPS_BATCH)
def transpose(call: Call) -> Affine:
    x = call.unweighted(0)
    order = call.attribute("perm") or range(len(x.shape), -1, -1)
    return mapped(x, Transpose(tuple(feature_axis(a, len(x.shape)) for a in order[1:])))


@operator("Slice", becomes="a slice", limits="constant bounds; the batch axis is not cut")
def slice_(call: Call) -> Affine:
    x = call.unweighted(0)
    starts, ends = call.numbers("starts", 1), call.numbers("ends", 2)
    if starts is None or ends is None:
        raise RefusalError("has no bounds")
    axes = call.numbers("axes", 3) or range(len(starts))
    steps = call.numbers("steps", 4) or (1,) * len(starts)
    windows = [range(size) for size in x.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if axis in (0, -len(x.shape) - 1) and (start, step) == (0, 1) and end >= 2**31 - 1:
            continue
        a = feature_axis(axis, len(x.shape))
        windows[a] = range(*slice(start, end, step).indices(x.shape[a]))
    return _cut(x, windows)


def _cut(x: Affine, windows: list[range]) -> Affine:
    if not all(windows):
        raise RefusalError("cuts an axis down to nothing")
    return mapped(
        x,
        Slice(
            tuple(w.start for w in windows), tuple(len(w) for w in windows), tuple(w.step for w in windows)
        ),
    )


@operator("Split", becomes="slices", limits="constant sizes; the batch axis is not cut")
def split(call: Call) -> tuple[Affine, ...]:
    x = call.unweighted(0)
    axis = feature_axis(call.attribute("axis", 0), len(x.shape))
    parts, size = len(call.node.output), x.shape[axis]
    even = -(-size // parts)
    sizes = call.numbers("split", 1) or tuple(min(even, size - i * even) for i in range(parts))
    full = [range(s) for s in x.shape]
    return tuple(
        _cut(x, [*full[:axis], range(stop - width, stop), *full[axis + 1 :]])
        for stop, width in zip(accumulate(sizes), sizes, strict=True)
    )


@operator(
    "Pad", becomes="zero padding", limits="constant mode, value 0, no negative padding, not the batch axis"
)
def pad(call: Call) -> Affine:
    x = call.unweighted(0)
    pads, value = call.numbers("pads", 1), call.setting("value", 2)
    mode = call.attribute("mode", "constant")
    if mode != "constant" or (value is not None and value.any()):
        raise RefusalError(f"pads with something other than zeros (mode {mode!r})")
    rank = len(x.shape) + 1
    axes = call.numbers("axes", 3) or range(rank)
    before, after = [0] * rank, [0] * rank
    for axis, first, last in zip(axes, (pads or ())[: len(axes)], (pads or ())[len(axes) :], strict=True):
        before[axis], after[axis] = first, last
    if before[0] or after[0]:
        raise RefusalError("pads the batch axis")
    return mapped(x, Pad(tuple(before[1:]), tuple(after[1:])))


@operator("Concat", becomes="sum of zero-padded terms", limits="not along the batch axis")
def concat(call: Call) -> Affine:
    parts = [
        p if isinstance(p, Affine) else _sample(p) for p in map(call.unweighted_or_constant, call.positions)
    ]
    axis = feature_axis(call.attribute("axis"), len(parts[0].shape))
    return concatenated(parts, axis)


def _sample(constant: Array) -> Array:
    """A constant of the graph without its batch axis."""
    if not constant.ndim or len(constant) != 1:
        raise RefusalError(f"joins a constant of shape {constant.shape}, which has no batch axis of 1")
    return constant[0]
