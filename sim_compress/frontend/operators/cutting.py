"""Parts of activations: cut out, padded, side by side."""

from itertools import accumulate

import numpy as np

from sim_compress.frontend.axes.rules import joining
from sim_compress.frontend.registry import Call, RefusalError, operator
from sim_compress.frontend.terms.expressions import concatenated, mapped, picked, shifted
from sim_compress.frontend.terms.rows import finite
from sim_compress.model import Affine, Pad, Slice
from sim_compress.model.maps import Array


@operator("Slice", joining.slices, becomes="a slice", limits="constant bounds; not of the batch axis")
def slice_(call: Call) -> Affine:
    x = call.unweighted(0)
    starts, ends = call.numbers("starts", 1), call.numbers("ends", 2)
    if starts is None or ends is None:
        raise RefusalError("has no bounds")
    axes = call.numbers("axes", 3) or range(len(starts))
    steps = call.numbers("steps", 4) or (1,) * len(starts)
    windows = [range(size) for size in x.shape]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        windows[axis] = range(*slice(start, end, step).indices(x.shape[axis]))
    return _cut(x, windows)


def _cut(x: Affine, windows: list[range]) -> Affine:
    if not all(windows):
        raise RefusalError("cuts an axis down to nothing")
    if windows == [range(size) for size in x.shape]:
        return x
    return mapped(
        x,
        Slice(
            tuple(w.start for w in windows), tuple(len(w) for w in windows), tuple(w.step for w in windows)
        ),
    )


@operator("Split", joining.split, becomes="slices", limits="constant sizes; not of the batch axis")
def split(call: Call) -> tuple[Affine, ...]:
    x = call.unweighted(0)
    axis = call.attribute("axis")
    parts, size = len(call.node.output), x.shape[axis]
    even = -(-size // parts)
    sizes = call.numbers("split", 1) or tuple(min(even, size - i * even) for i in range(parts))
    full = [range(s) for s in x.shape]
    return tuple(
        _cut(x, [*full[:axis], range(stop - width, stop), *full[axis + 1 :]])
        for stop, width in zip(accumulate(sizes), sizes, strict=True)
    )


@operator(
    "Pad", joining.pad, becomes="zeros, an offset, or entries picked again", limits="not of the batch axis"
)
def pad(call: Call) -> Affine:
    x, pads = call.unweighted(0), call.numbers("pads", 1) or ()
    around = list(zip(pads[: len(x.shape)], pads[len(x.shape) :], strict=True))
    mode = call.attribute("mode", "constant")
    if mode == "constant":
        return _surrounded(x, around, call.setting("value", 2))
    for axis, (before, after) in enumerate(around):
        x = picked(x, axis, _padded(x.shape[axis], before, after, mode))
    return x


def _surrounded(x: Affine, around: list[tuple[int, int]], value: Array | None) -> Affine:
    """Cut where the padding is negative, with a constant around elsewhere."""
    kept = [range(max(-b, 0), s - max(-a, 0)) for s, (b, a) in zip(x.shape, around, strict=True)]
    zeros = Pad(tuple(max(b, 0) for b, _ in around), tuple(max(a, 0) for _, a in around))
    inner = _cut(x, kept)
    padded = mapped(inner, zeros) if any(zeros.before + zeros.after) else inner
    if value is not None and value.size != 1:
        raise RefusalError(f"pads with {value.size} values, expected one")
    if value is None or not value.any():
        return padded
    outside = 1 - zeros.apply(np.ones((*inner.shape, 1), np.float32))[..., 0]
    return shifted(padded, outside * finite(value.reshape(())))


def _padded(size: int, before: int, after: int, mode: str) -> Array:
    """Which entry stands where along a padded axis."""
    if mode not in ("reflect", "edge", "wrap") or (mode == "reflect" and size < 2 and max(before, after) > 0):
        raise RefusalError(f"pads an axis of {size} in mode {mode!r}")
    kept = np.arange(size)[max(-before, 0) : size - max(-after, 0)]
    return np.pad(kept, (max(before, 0), max(after, 0)), mode=mode)


@operator("Concat", joining.concat, becomes="sum of zero-padded terms", limits="not along the batch axis")
def concat(call: Call) -> Affine:
    parts = [call.unweighted_or_constant(i) for i in call.positions]
    return concatenated(parts, call.attribute("axis"))
