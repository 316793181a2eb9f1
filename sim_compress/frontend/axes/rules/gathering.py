"""Entries looked up by their numbers; along the axis of the samples each sample may only ask for its own.

table  (V, E)         ids (N, T)                     (N, T, E)     an embedding
states (N, T, E)      [0], axis 1                    (N, 1, E)     the first token
states (N, T, E)      [(n, argmax)], GatherND        (N, E)        one token of each sample
"""

from math import prod

import numpy as np

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.numbers import (
    is_constant,
)
from sim_compress.frontend.axes.placed import DECIDED_BY_BATCH, Placed
from sim_compress.frontend.axes.rules.own_entries import counted, own_places, write_chosen
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
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
    ids = counted(ids, data.after, step.samples)
    own = own_places(data, ids, None, step.samples)
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
            write_chosen(writer, step, name, own_shape, step.node.input[1], ids, data.sample_axis(axis))
            return
        places = writer.integers(own.ravel(), step.output)
        picked = writer.add(
            "Gather", [name, places], f"{step.output}:own", step.node.name, axis=writer.axis(axis)
        )
        writer.reshaped(picked, result.sample_shape, step.output)

    return Outcome((result,), write, ())


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
