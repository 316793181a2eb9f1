"""Which chains of maps only shift: every feature is a channel of the source, moved and strided.

A source is seen in canonical form (channels, rows, columns). A chain that shifts needs no copy: the kernel
adds the shift to an offset. Everything else is copied into place first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.activations import Activation
from sim_compress.model import LinearMap, Pad, Patches, Reshape, Shape, Slice, Transpose
from sim_compress.runtime.compiled.layout.forms import CHANNELS, COLUMNS, ROWS, Form, Step


@dataclass(frozen=True)
class Windows:
    """Features of a chain that only shifts.

    Attributes:
        channel: channel of each feature; -1 where the feature is zero.
        row: first row of each feature, may be negative: padding.
        column: first column of each feature.
        strides: rows and columns from one position to the next.
    """

    channel: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    strides: tuple[int, int]


@dataclass(frozen=True)
class _View:
    """A strided view of the canonical source: sizes and steps of its axes, and its first element."""

    sizes: Shape
    steps: tuple[Step, ...]
    first: Step

    def sliced(self, step: Slice) -> "_View":
        pairs = list(zip(self.steps, step.starts, strict=True))
        first = tuple(self.first[d] + sum(s[d] * start for s, start in pairs) for d in range(3))
        steps = tuple((s[0] * by, s[1] * by, s[2] * by) for s, by in zip(self.steps, step.steps, strict=True))
        return _View(step.counts, steps, (first[0], first[1], first[2]))

    def transposed(self, step: Transpose) -> "_View":
        return replace(
            self, sizes=tuple(self.sizes[a] for a in step.axes), steps=tuple(self.steps[a] for a in step.axes)
        )

    def reshaped(self, step: Reshape) -> "_View | None":
        """Axes of size one come and go; any other reshape is no view."""
        kept = [(size, s) for size, s in zip(self.sizes, self.steps, strict=True) if size != 1]
        if [size for size, _ in kept] != [size for size in step.shape if size != 1]:
            return None
        left = iter(kept)
        steps = tuple((0, 0, 0) if size == 1 else next(left)[1] for size in step.shape)
        return replace(self, sizes=step.shape, steps=steps)

    def after(self, step: LinearMap) -> "_View | None":
        match step:
            case Slice():
                return self.sliced(step)
            case Transpose():
                return self.transposed(step)
            case Reshape():
                return self.reshaped(step)
        return None


def trace(maps: Sequence[LinearMap], source: Form, target: Form, weighted: bool) -> Windows | None:
    """The windows of a chain, None where it does more than shift.

    Args:
        maps: the chain of a term.
        source: form of the term's source.
        target: form of the block that the term goes into.
        weighted: features come first and meet a weight; otherwise the chain has the block's own shape.
    """
    *inner, last = maps if maps else (None,)
    if not isinstance(last, Patches | Pad):
        inner, last = list(maps), None
    view: _View | None = _View(source.shape, source.steps(), (0, 0, 0))
    for step in inner:
        view = view and view.after(step)
    if view is None or not (weighted or len(target.channel_axes) == 1):
        return None
    channel_axis = 0 if weighted else target.channel_axes[0]
    if isinstance(last, Patches):
        return _patch_windows(view, last, source, target) if channel_axis == 0 else None
    return _plain_windows(view, last, channel_axis, target)


def pool_windows(phi: Activation) -> Windows:
    """What a pooling reads in each channel: one window, as if it were the features of a channel."""
    a = phi.attributes
    lead = (1,) * (2 - len(a["kernel"]))
    height, width = lead + tuple(a["kernel"])
    down, right = lead + tuple(a["dilations"])
    above, before = (0,) * len(lead) + tuple(a["pads_begin"])
    by_row, by_column = lead + tuple(a["strides"])
    i, j = np.indices((height, width)).reshape(2, -1)
    return Windows(0 * i, i * down - above, j * right - before, (by_row, by_column))


def _plain_windows(view: _View, pad: LinearMap | None, axis: int, target: Form) -> Windows | None:
    """Channels as they are; a Pad may add zero channels."""
    strides = _strides(view, axis, target)
    if strides is None:
        return None
    channels, step = (view.sizes[axis], view.steps[axis]) if view.sizes else (1, (0, 0, 0))
    padding = (0, 0)
    if isinstance(pad, Pad) and view.sizes:
        padding = (pad.before[axis], pad.after[axis])
        if sum(pad.before) + sum(pad.after) > sum(padding):
            return None
    channel = np.pad(view.first[0] + np.arange(channels) * step[0], padding, constant_values=-1)
    row, column = np.full(len(channel), view.first[1]), np.full(len(channel), view.first[2])
    return Windows(channel, row, column, strides)


def _patch_windows(view: _View, patches: Patches, source: Form, target: Form) -> Windows | None:
    """Features (channel, *kernel) in the order of an ONNX weight."""
    strides = _strides(view, 0, target)
    if len(patches.kernel) > 2 or strides is None:
        return None
    whole = view.first == (0, 0, 0) and int(np.prod(view.sizes[1:])) == int(np.prod(source.size))
    # Padding is zero; what lies around a slice is not.
    if not whole and any(patches.before + patches.after):
        return None
    lead = (1,) * (2 - len(patches.kernel))
    height, width = lead + patches.kernel
    down, right = lead + patches.dilations
    above, before = (0,) * len(lead) + patches.before
    by_row, by_column = lead + patches.strides
    channel, i, j = np.indices((view.sizes[0], height, width)).reshape(3, -1)
    return Windows(
        view.first[0] + channel * view.steps[0][0],
        view.first[1] + (i * down - above) * strides[0],
        view.first[2] + (j * right - before) * strides[1],
        (strides[0] * by_row, strides[1] * by_column),
    )


def _strides(view: _View, axis: int, target: Form) -> tuple[int, int] | None:
    """Row and column strides where the view's positions are the rows and columns of the target."""
    positions = [i for i in range(len(view.sizes)) if i != axis]
    if len(positions) != max(len(target.shape) - 1, 0) or len(positions) > 2:
        return None
    units = [(0, 1, 0), (0, 0, 1)][2 - len(positions) :]
    # An axis of one element has no step of its own.
    own = [u if view.sizes[i] == 1 else view.steps[i] for i, u in zip(positions, units, strict=True)]
    down, right = [(0, 1, 0), (0, 0, 1)][: 2 - len(positions)] + own
    along = view.steps[axis] if view.sizes and view.sizes[axis] > 1 else (0, 0, 0)
    pure = not (
        along[ROWS] or along[COLUMNS] or down[CHANNELS] or down[COLUMNS] or right[CHANNELS] or right[ROWS]
    )
    return (down[ROWS], right[COLUMNS]) if pure and down[ROWS] > 0 and right[COLUMNS] > 0 else None
