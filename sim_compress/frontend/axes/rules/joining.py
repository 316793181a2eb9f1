"""Parts of tensors along an axis: side by side, cut out, padded."""

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from sim_compress.frontend.axes.alignment import aligned, divided_constant
from sim_compress.frontend.axes.numbers import Number, Polynomial, Unknown, compared, objects, unknowns
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model.maps import Array

# Ends from here on mean the end of the axis; exporters write 10^9, or the largest number of some type.
NO_END = 10**9
# The operator set from which the sizes of a Split are an input.
SPLIT_INPUT = 13


def concat(step: Step) -> Outcome:
    """Side by side; constants beside activations hold for every sample."""
    parts = [step.input(i) for i in step.present]
    rank = len(parts[0].shape)
    if any(len(p.shape) != rank for p in parts):
        raise RefusalError(f"joins tensors of different ranks, {', '.join(map(str, parts))}")
    axis = positive(step.attribute("axis", 0), rank)
    thin = [p if p.batch == axis else p.with_shape(_with_size(p.shape, axis, 1), p.batch) for p in parts]
    lined = aligned([t for t in thin if t.batch is not None] or thin, step.samples).result
    if lined.batch == axis:
        raise RefusalError(f"joins along axis {axis}, the batch axis")
    placed = [_beside(p, lined, step.samples) for p in parts]
    if len({_with_size(p.shape, axis, 1) for p in placed}) > 1:
        raise RefusalError(f"joins shapes {', '.join(map(str, parts))}, which differ beside axis {axis}")
    shape = _with_size(lined.shape, axis, sum(p.shape[axis] for p in placed))
    shape = tuple(s if i == axis else placed[0].shape[i] for i, s in enumerate(shape))
    result = Placed(shape, lined.batch, lined.before, _side_by_side(placed, axis))

    def write(writer: Writer) -> None:
        inputs = [step.node.input[i] for i in step.present]
        beside = next(n for n, p in zip(inputs, placed, strict=True) if not p.is_known)
        names = [_whole(writer, n, p, beside, step.output) for n, p in zip(inputs, placed, strict=True)]
        writer.copy(step.node, names, axis=writer.axis(result.sample_axis(axis)))

    return Outcome((result,), write)


def _with_size(shape: Sequence[int], axis: int, size: int) -> tuple[int, ...]:
    return tuple(size if i == axis else s for i, s in enumerate(shape))


def _beside(x: Placed, main: Placed, samples: int | None) -> Placed:
    """A part with its samples where those of the others are; a constant stands beside each of them."""
    if x.batch is not None or main.batch is None:
        return x
    if x.shape[main.batch] == main.shape[main.batch] and (samples is None or samples == 1):
        return Placed(x.shape, main.batch, main.before, x.value)
    return divided_constant(x, main.batch, main.before, main.after, samples)


def _side_by_side(parts: Sequence[Placed], axis: int) -> Array | None:
    values = [p.value for p in parts]
    if all(v is None for v in values):
        return None
    pairs = zip(parts, values, strict=True)
    return np.concatenate([unknowns(p.shape) if v is None else objects(v) for p, v in pairs], axis)


def _whole(writer: Writer, name: str, x: Placed, beside: str, output: str) -> str:
    """A part of a Concat; with the samples first a constant is repeated for each of them."""
    if not x.is_known or not writer.shift:
        return writer.operand(name, x, output)
    return writer.for_each_sample(x.sample_value, beside, output)


def split(step: Step) -> Outcome:
    """One axis cut into parts."""
    x = step.input(0)
    axis, count = step.axis("axis", 0), len(step.node.output)
    step.none_of([axis])
    even = -(-x.shape[axis] // count)
    named = step.integers("split", 1)
    sizes = named or [min(even, x.shape[axis] - i * even) for i in range(count)]
    if sum(sizes) != x.shape[axis] or len(sizes) != count or min(sizes) < 0:
        raise RefusalError(f"cuts axis {axis} of {x} into {sizes}")
    value = x.value
    cuts = [None] * count if value is None else np.split(value, list(accumulate(sizes))[:-1], axis)
    outputs = tuple(
        Placed(_with_size(x.shape, axis, size), x.batch, x.before, part)
        for size, part in zip(sizes, cuts, strict=True)
    )

    def write(writer: Writer) -> None:
        moved = writer.axis(x.sample_axis(axis))
        name = writer.operand(step.node.input[0], x, step.output)
        # Parts without entries are constants.
        kept = [(n, size) for n, size in zip(step.node.output, sizes, strict=True) if size]
        widths = [size for _, size in kept]
        if len(kept) == 1:
            writer.add("Identity", [name], kept[0][0], step.node.name)
        elif step.opset >= SPLIT_INPUT:
            writer.split([name, writer.integers(widths, step.output)], kept, step.node.name, axis=moved)
        else:
            writer.split([name], kept, step.node.name, axis=moved, split=widths)

    return Outcome(outputs, write, (0,))


def slices(step: Step) -> Outcome:
    """Entries from a start to an end; the axis of the samples is kept whole."""
    x = step.input(0)
    starts, ends = step.numbers("starts", 1), step.numbers("ends", 2)
    if starts is None or ends is None:
        raise RefusalError("has no bounds")
    axes = step.integers("axes", 3)
    steps = step.integers("steps", 4) or [1] * len(starts)
    cut = [slice(None)] * len(x.shape)
    for start, end, axis, by in zip(starts, ends, axes or range(len(starts)), steps, strict=True):
        place = positive(axis, len(x.shape))
        if place != x.batch:
            cut[place] = _window(start, end, by, x.shape[place])
        elif not _keeps_all(x, start, end, by, step.samples):
            if not x.is_constant or x.is_merged or (start, end, by) != (0, 1, 1):
                raise RefusalError(f"cuts axis {place} of {x}, the batch axis")
            # The first of samples that are all alike.
            x = x.without_samples()
    windows = [range(*c.indices(s)) for c, s in zip(cut, x.shape, strict=True)]
    value = x.value
    result = Placed(
        tuple(len(w) for w in windows), x.batch, x.before, None if value is None else value[tuple(cut)]
    )
    return Outcome((result,), _cutting(step, x, windows), (0,))


def _cutting(step: Step, x: Placed, windows: Sequence[range]) -> Callable[[Writer], None]:
    moved = [i for i, w in enumerate(windows) if i != x.batch or x.is_merged]

    def write(writer: Writer) -> None:
        chosen = [i for i in moved if windows[i] != range(x.shape[i])]
        name = writer.operand(step.node.input[0], x, step.output)
        if not chosen:
            writer.add("Identity", [name], step.output, step.node.name)
            return
        bounds = {
            "starts": [windows[i].start for i in chosen],
            "ends": [_stop(windows[i]) for i in chosen],
            "axes": writer.axes([x.sample_axis(i) for i in chosen]),
        }
        if step.opset < 10:
            writer.copy(step.node, [name], **bounds)
            return
        settings = [*bounds.values(), [windows[i].step for i in chosen]]
        writer.copy(step.node, [name, *(writer.integers(s, step.output) for s in settings)])

    return write


def _stop(window: range) -> int:
    """The end of a window; one that goes down to the first entry ends below any."""
    return window.stop if window.stop >= 0 else -NO_END - 1


def _window(start: Number, end: Number, by: int, size: int) -> slice:
    if isinstance(end, Polynomial) and compared("GreaterOrEqual", end, size) is True:
        end = NO_END
    if isinstance(start, Polynomial | Unknown) or isinstance(end, Polynomial | Unknown):
        raise RefusalError(f"cuts from {start} to {end}, which the inputs decide")
    return slice(int(start), int(end), by)


def _keeps_all(x: Placed, start: Number, end: Number, by: int, samples: int | None) -> bool:
    """Whether a window holds all samples, however many there are."""
    if start != 0 or by != 1 or isinstance(end, Unknown):
        return False
    assert x.batch is not None
    if isinstance(end, Polynomial):
        return compared("GreaterOrEqual", end, x.sizes[x.batch]) is True
    return end >= NO_END or (samples is not None and end >= x.shape[x.batch] * samples)


def pad(step: Step) -> Outcome:
    """Entries added around axes that are not the samples'."""
    x = step.input(0)
    rank = len(x.shape)
    pads, named = step.integers("pads", 1) or [], step.integers("axes", 3)
    axes = [positive(a, rank) for a in (range(rank) if named is None else named)]
    if len(pads) != 2 * len(axes):
        raise RefusalError(f"has {len(pads)} sizes of padding for {len(axes)} axes")
    around = dict.fromkeys(range(rank), (0, 0))
    around |= dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    if x.batch is not None and around[x.batch] != (0, 0):
        raise RefusalError(f"pads axis {x.batch} of {x}, the batch axis")
    shape = tuple(s + sum(around[i]) for i, s in enumerate(x.shape))
    if min(shape) < 0:
        raise RefusalError(f"cuts more than there is of {x}")
    kept = [i for i in range(rank) if i != x.batch or x.is_merged]

    def write(writer: Writer) -> None:
        none = [0] * writer.shift
        sides = [[around[i][side] for i in kept] for side in (0, 1)]
        full = [*none, *sides[0], *none, *sides[1]]
        name = writer.operand(step.node.input[0], x, step.output)
        if any(a.name == "pads" for a in step.node.attribute):
            writer.copy(step.node, [name], pads=full)
            return
        value = [writer.operand(step.node.input[2], step.input(2), step.output)] if step.has(2) else []
        writer.copy(step.node, [name, writer.integers(full, step.output), *value])

    return Outcome((x.with_shape(shape, x.batch),), write, (0,))
