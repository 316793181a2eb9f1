"""Entries looked up by their numbers; along the axis of the samples each sample may only ask for its own.

table  (V, E)         ids (N, T)                     (N, T, E)     an embedding
states (N, T, E)      [0], axis 1                    (N, 1, E)     the first token
states (N, T, E)      [(n, argmax)], GatherND        (N, E)        one token of each sample
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.numbers import (
    Number,
    Polynomial,
    Unknown,
    any_depends,
    depends,
    is_constant,
    objects,
    sample_number,
)
from sim_compress.frontend.axes.placed import DECIDED_BY_BATCH, Placed
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape
from sim_compress.model.maps import Array


def gather(step: Step) -> Outcome:
    """Along one axis."""
    data, ids = step.input(0), step.input(1)
    axis = step.axis("axis", 0)
    if data.batch == axis:
        data = data.without_samples() if is_constant(_numbers(ids)) else data
    if data.batch == axis:
        return _own_entries(step, data, axis, ids)
    if ids.depends:
        raise RefusalError(f"looks up entries whose number {DECIDED_BY_BATCH}")
    if data.batch is not None and ids.batch is not None:
        ids = ids.without_samples()
    if data.batch is not None and ids.batch is not None:
        raise RefusalError(f"looks up entries of each sample of {data} by numbers of each sample, {ids}")
    shape = (*data.shape[:axis], *ids.shape, *data.shape[axis + 1 :])
    batch, before = _place(data, ids, axis)
    result = Placed(shape, batch, before, _picked(data, ids, axis))

    def write(writer: Writer) -> None:
        names = [
            writer.operand(step.node.input[0], data, step.output),
            writer.operand(step.node.input[1], ids, step.output),
        ]
        if not data.is_known:
            writer.copy(step.node, names, axis=writer.axis(data.sample_axis(axis)))
        elif axis == 0 or prod(data.shape[:axis]) > 1:
            # The axis of a constant table is the same in both forms.
            writer.copy(step.node, names, axis=axis)
        else:
            names[0] = writer.constant(data.first_sample.reshape(data.shape[axis:]), step.output)
            found = writer.add("Gather", names, f"{step.output}:rows", step.node.name, axis=0)
            writer.reshaped(found, result.sample_shape, step.output)

    return Outcome((result,), write)


def _numbers(x: Placed) -> Array:
    return np.zeros(0, np.int64) if x.numbers is None else x.numbers


def _place(data: Placed, ids: Placed, axis: int) -> tuple[int | None, int]:
    if data.batch is not None:
        return (data.batch if data.batch < axis else data.batch + len(ids.shape) - 1), data.before
    return (None, 1) if ids.batch is None else (axis + ids.batch, ids.before)


def _picked(data: Placed, ids: Placed, axis: int) -> Array | None:
    """The numbers looked up, where both are known."""
    if data.numbers is None or not ids.is_constant or ids.value is None:
        return None
    places = ids.value.astype(np.int64)
    if places.size and not (-data.shape[axis] <= places.min() and places.max() < data.shape[axis]):
        raise RefusalError(f"looks up an entry outside of axis {axis} of {data}")
    return np.take(data.numbers, places, axis)


def _own_entries(step: Step, data: Placed, axis: int, ids: Placed) -> Outcome:
    """Along the axis of the samples: entries [n after + q] are the q-th of the sample's own."""
    ids = _counted(ids, data.after, step.samples)
    own = _own(data, ids, None, step.samples)
    shape = (*data.shape[:axis], *ids.shape, *data.shape[axis + 1 :])
    assert ids.batch is not None
    numbers = None
    if data.is_constant and data.value is not None and is_constant(own):
        # Each sample finds what all of them have.
        numbers = np.take(data.value, own.astype(np.int64), axis)
    result = Placed(shape, axis + ids.batch, ids.before, numbers)

    def write(writer: Writer) -> None:
        # In one sample's own shape the axis may have gone: then it comes back with its one entry.
        name = writer.operand(step.node.input[0], data, step.output)
        own_shape = data.sample_shape
        if not data.is_merged:
            own_shape = full = (*data.sample_shape[:axis], 1, *data.sample_shape[axis:])
            name = writer.reshaped(name, full, f"{step.output}:samples")
        if not is_constant(own):
            _write_chosen(writer, step, name, own_shape, step.node.input[1], ids, data.sample_axis(axis))
            return
        places = writer.integers(own.ravel(), step.output)
        picked = writer.add(
            "Gather", [name, places], f"{step.output}:own", step.node.name, axis=writer.axis(axis)
        )
        writer.reshaped(picked, result.sample_shape, step.output)

    return Outcome((result,), write, ())


def _own(data: Placed, ids: Placed, column: int | None, samples: int | None) -> Array:
    """The places q that numbers n after + q mean in a sample's own part of the axis of the samples.

    Raises:
        RefusalError: a number may mean another sample.
    """
    if data.before != 1 or ids.numbers is None or ids.batch is None:
        raise RefusalError(f"looks up entries along the axis of {data} that is the batch axis")
    numbers = objects(ids.numbers if column is None else ids.numbers[..., column])
    own = np.empty(numbers.shape, object)
    for i, number in enumerate(numbers.flat):
        # In a batch of one there is no other sample to ask for.
        counted = samples != 1 or depends(number)
        own.flat[i] = number - sample_number(data.after) if counted else number
    if not all(_within(q, data.after) for q in own.flat):
        raise RefusalError(
            f"looks up entries of other samples along the axis of {data} that is the batch axis"
        )
    return own


def _within(place: Number, size: int) -> bool:
    if isinstance(place, Polynomial):
        return False
    if isinstance(place, Unknown):
        if place.base is None or isinstance(place.base, Polynomial):
            return False
        return place.base + place.low >= 0 and place.base + place.high < size
    return bool(0 <= place < size)


def _counted(ids: Placed, after: int, samples: int | None, columns: bool = False) -> Placed:
    """Constants of a file of fixed batch that count its samples along an axis, as those of one sample."""
    value = ids.value
    if samples is None or ids.batch is not None or value is None or not ids.is_constant:
        return ids
    axes = range(len(ids.shape) - columns)
    if samples == 1:
        axis = next((a for a in axes if ids.shape[a] == 1), None)
        if axis is None:
            return ids
        counting = objects(value).copy()
        own = counting if not columns else counting[..., :1]
        for i in range(own.size):
            own.flat[i] = own.flat[i] + sample_number(after)
        return Placed(ids.shape, axis, 1, counting)
    for axis in axes:
        if ids.shape[axis] % samples == 0:
            try:
                return divided_constant(ids, axis, 1, ids.shape[axis] // samples, samples)
            except RefusalError:
                continue
    return ids


def gather_elements(step: Step) -> Outcome:
    """Entry by entry along one axis, by numbers of the same rank."""
    data, ids = step.input(0), step.input(1)
    axis = step.axis("axis", 0)
    if ids.depends:
        raise RefusalError(f"looks up entries whose number {DECIDED_BY_BATCH}")
    reaches = data.batch is not None and (ids.shape[data.batch] > 1 or step.samples == 1)
    if data.batch is not None and ids.batch is None and step.samples and reaches:
        ids = divided_constant(ids, data.batch, data.before, data.after, step.samples)
    if data.batch is not None and ids.batch is None:
        data = data.without_samples()
        if data.batch is not None:
            raise RefusalError(f"looks up entries of {data} by numbers {ids} that are not its samples'")
    if ids.batch is not None and data.batch is None:
        data = divided_constant(data, ids.batch, ids.before, ids.after, step.samples)
    if ids.batch is not None and (data.batch, data.before) != (ids.batch, ids.before):
        raise RefusalError(f"its inputs have the batch axis in two places, {data} and {ids}")
    if ids.batch == axis:
        raise RefusalError(f"looks up along axis {axis}, the batch axis")
    numbers = None
    if data.numbers is not None and ids.is_constant and ids.value is not None:
        numbers = np.take_along_axis(data.numbers, ids.value, axis)

    def write(writer: Writer) -> None:
        names = [_for_each(writer, step, i, x) for i, x in enumerate((data, ids))]
        writer.copy(step.node, names, axis=writer.axis(ids.sample_axis(axis)))

    return Outcome((Placed(ids.shape, ids.batch, ids.before, numbers),), write)


def _for_each(writer: Writer, step: Step, position: int, x: Placed) -> str:
    """One of two inputs that line up, for every sample."""
    name, beside = step.node.input[position], step.node.input[1 - position]
    if writer.shift and x.is_known:
        return writer.for_each_sample(x.sample_value, beside, step.output)
    return writer.operand(name, x, step.output)


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
    ids = _counted(ids, data.after, step.samples, columns=True)
    own = _own(data, ids, column, step.samples)
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


def _write_rows(
    writer: Writer, step: Step, data: Placed, ids: Placed, rest: Sequence[int], result: Placed
) -> None:
    """A chain of lookups by constants; numbers that data decide are taken from their tensor."""
    name, output = step.node.input[0], step.output
    if not rest:
        writer.reshaped(name, result.sample_shape, output, step.node.name)
        return
    assert ids.numbers is not None
    picked = ids.numbers[..., list(rest)]
    axes = [data.sample_axis(c) for c in rest]
    if not is_constant(picked):
        if len(rest) > 1:
            raise RefusalError("looks up entries by several numbers that the inputs decide")
        column = writer.integers([rest[0]], output)
        axis = writer.axis(len(ids.sample_shape) - 1)
        number = writer.add("Gather", [step.node.input[1], column], f"{output}:number", axis=axis)
        one = Placed(ids.shape[:-1], ids.batch, ids.before)
        _write_chosen(writer, step, name, data.sample_shape, number, one, axes[0])
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


def _write_chosen(
    writer: Writer, step: Step, data: str, shape: Shape, number: str, ids: Placed, axis: int
) -> None:
    """Entries of each sample whose numbers the data decide: a product with the rows of an identity matrix.

    states (T, E), number ()     Equal(number, 0 .. T - 1) (1, T)     (1, T) @ (T, E) -> (E)
    """
    if axis:
        raise RefusalError(
            "looks up entries that the inputs decide, along an axis that is not a sample's first"
        )
    output, (entries, *rest) = step.output, shape
    count, width = prod(ids.sample_shape), prod(rest)
    column = writer.reshaped(number, (count, 1), f"{output}:place")
    every = writer.integers(range(entries), output)
    same = writer.add("Equal", [column, every], f"{output}:same")
    kind = onnx.TensorProto.FLOAT
    chosen = writer.add("Cast", [same], f"{output}:chosen", to=kind)
    flat = writer.reshaped(data, (entries, width), f"{output}:entries")
    product = writer.add("MatMul", [chosen, flat], f"{output}:product", step.node.name)
    writer.reshaped(product, (*ids.sample_shape, *rest), output)


def compress(step: Step) -> Outcome:
    """Entries along an axis where a constant condition holds."""
    x, axis = step.input(0), step.attribute("axis")
    if axis is None:
        raise RefusalError(f"flattens {x}, the batch axis with it")
    place = positive(axis, len(x.shape))
    step.none_of([place])
    condition = step.input(1)
    if not condition.is_constant or condition.value is None:
        raise RefusalError("keeps entries that the values of the inputs decide")
    kept = np.flatnonzero(condition.value)
    shape = tuple(len(kept) if i == place else s for i, s in enumerate(x.shape))

    def write(writer: Writer) -> None:
        names = [step.node.input[0], writer.operand(step.node.input[1], condition, step.output)]
        writer.copy(step.node, names, axis=writer.axis(x.sample_axis(place)))

    return Outcome((x.with_shape(shape, x.batch),), write)
