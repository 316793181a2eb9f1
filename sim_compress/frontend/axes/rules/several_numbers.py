"""GatherND: entries looked up by several numbers at once."""

from collections.abc import Sequence

import numpy as np

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.numbers import Number, Unknown, any_depends, is_constant
from sim_compress.frontend.axes.placed import DECIDED_BY_BATCH, Placed
from sim_compress.frontend.axes.rules.own_entries import counted, own_places, write_chosen
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError


def gather_nd(step: Step) -> Outcome:
    """Entries by several numbers at once; those of the samples' axis must be the sample's own."""
    data, ids = step.input(0), step.input(1)
    first, width = step.attribute("batch_dims", 0), ids.shape[-1]
    looked_up = range(first, first + width)
    if ids.batch == len(ids.shape) - 1:
        raise RefusalError(f"its numbers {ids} have the batch axis as their last")
    if data.batch in looked_up:
        return _own_rows(step, data, ids, first, looked_up)
    if ids.depends:
        raise RefusalError(f"looks up entries whose number {DECIDED_BY_BATCH}")
    if data.batch is not None and data.batch >= first + width and ids.batch is not None:
        raise RefusalError(f"looks up entries of each sample of {data} by numbers of each sample, {ids}")
    if data.batch is not None and data.batch < first and (data.batch, data.before) != (ids.batch, ids.before):
        ids = divided_constant(ids, data.batch, data.before, data.after, step.samples)
    shape = (*ids.shape[:-1], *data.shape[first + width :])
    if data.batch is not None and data.batch >= first + width:
        batch, before = len(ids.shape) - 1 + data.batch - first - width, data.before
    else:
        batch, before = ids.batch, ids.before
    result = Placed(shape, batch, before)

    def write(writer: Writer) -> None:
        if not first and ids.is_constant and ids.batch is None:
            _write_rows(writer, step, data, ids.valued(ids.value), range(width), result)
            return
        leading = data.batch is not None and data.batch < first and not data.is_merged
        if leading and first == 1:
            # Every sample looks up in its own entries.
            _write_rows(writer, step, data, ids.valued(ids.value), range(width), result, first)
            return
        if first - leading or (data.batch is not None and not leading and writer.shift):
            raise RefusalError("looks up entries by several numbers in a way that is not supported")
        names = [
            writer.operand(step.node.input[0], data, step.output),
            writer.operand(step.node.input[1], ids, step.output),
        ]
        writer.copy(step.node, names, batch_dims=writer.shift if leading else first)

    return Outcome((result,), write)


def _own_rows(step: Step, data: Placed, ids: Placed, first: int, looked_up: Sequence[int]) -> Outcome:
    """GatherND whose numbers name the sample: without it, what is left is looked up in each sample."""
    assert data.batch is not None
    column = data.batch - first
    ids = counted(ids, data.after, step.samples, columns=True)
    own = own_places(data, ids, column, step.samples)
    rest = [c for c in range(len(looked_up)) if c != column]
    assert ids.numbers is not None
    if any_depends(ids.numbers[..., rest]):
        raise RefusalError(f"looks up entries whose number {DECIDED_BY_BATCH}")
    if first or data.is_merged or any(q != 0 for q in own.flat):
        raise RefusalError("looks up entries by several numbers in a way that is not supported")
    shape = (*ids.shape[:-1], *data.shape[len(looked_up) :])
    others = ids.numbers[..., rest]
    numbers = None
    if data.is_constant and is_constant(others):
        # Each sample finds what all of them have.
        places = (*(others[..., i].astype(np.int64) for i in range(len(rest))),)
        numbers = np.asarray(data.sample_value[places]).reshape(shape)
    result = Placed(shape, ids.batch, ids.before, numbers)

    def write(writer: Writer) -> None:
        _write_rows(writer, step, data, ids, rest, result)

    return Outcome((result,), write, ())


def _counts_up(number: Number) -> bool:
    """Whether a number of an entry is zero or more."""
    low = number.base + number.low if isinstance(number, Unknown) and isinstance(number.base, int) else -1
    return low >= 0


def _write_rows(
    writer: Writer,
    step: Step,
    data: Placed,
    ids: Placed,
    rest: Sequence[int],
    result: Placed,
    first: int = 0,
) -> None:
    """A chain of lookups by constants; numbers that data decide are taken from their tensor.

    Args:
        rest: columns of the numbers that are not the sample's own.
        first: axis of the data that the first column is a number of.
    """
    name, output = step.node.input[0], step.output
    if not rest:
        writer.reshaped(name, result.sample_shape, output, step.node.name)
        return
    picked = None if ids.numbers is None else ids.numbers[..., list(rest)]
    axes = [data.sample_axis(first + c) for c in rest]
    if picked is None or not is_constant(picked):
        if len(rest) > 1:
            raise RefusalError("looks up entries by several numbers that the inputs decide")
        column = writer.integers([rest[0]], output)
        axis = writer.axis(len(ids.sample_shape) - 1)
        number = writer.add("Gather", [step.node.input[1], column], f"{output}:number", axis=axis)
        if picked is None or not all(_counts_up(n) for n in picked.flat):
            # From the end where they are below zero.
            size = writer.integers([data.sample_shape[axes[0]]], output)
            number = writer.add("Mod", [number, size], f"{output}:counted")
        one = Placed(ids.shape[:-1], ids.batch, ids.before)
        write_chosen(writer, step, name, data.sample_shape, number, one, axes[0])
        return
    size = tuple(data.sample_shape[a] for a in axes)
    numbers = [picked[..., i].ravel().astype(np.int64) for i in range(len(rest))]
    if any(n.size and not (-s <= n.min() and n.max() < s) for n, s in zip(numbers, size, strict=True)):
        raise RefusalError(f"looks up an entry outside of {data}")
    flat = np.ravel_multi_index([n % s for n, s in zip(numbers, size, strict=True)], size)
    if axes != list(range(len(axes))):
        raise RefusalError("looks up entries by several numbers in a way that is not supported")
    tail = data.sample_shape[len(axes) :]
    merged = writer.reshaped(name, (int(np.prod(size)), *tail), f"{output}:flat")
    places = writer.integers(flat, output)
    chosen = writer.add("Gather", [merged, places], f"{output}:own", step.node.name, axis=writer.axis(0))
    writer.reshaped(chosen, result.sample_shape, output)
