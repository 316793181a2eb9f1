"""Shapes as numbers, and tensors made from them (ConstantOfShape, Range, Expand, Tile), and OneHot."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from sim_compress.frontend.axes.alignment import aligned
from sim_compress.frontend.axes.numbers import (
    Number,
    Polynomial,
    Unknown,
    sample_count,
    sample_number,
)
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.elementwise import MOST_NUMBERS
from sim_compress.frontend.axes.step import Outcome, Step, positive
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.budget import in_units
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape
from sim_compress.model.maps import Array


def _never(_: Writer) -> None:
    """The outputs are known numbers, so that no node is left."""
    raise RefusalError("gives numbers that depend on the number of samples")


def shape_of(step: Step) -> Outcome:
    """The sizes of a tensor."""
    sizes = _sizes(step)
    kept = sizes[slice(step.attribute("start", 0), step.attribute("end", len(sizes)))]
    return Outcome((Placed((len(kept),), numbers=_array(kept)),), _never)


def _sizes(step: Step) -> list[Number]:
    x = step.input(0)
    if step.samples is None or x.batch is None:
        return x.sizes
    return list(x.full_shape(step.samples))


def size_of(step: Step) -> Outcome:
    """The number of entries of a tensor."""
    total: Number = 1
    for size in _sizes(step):
        total = total * size
    return Outcome((Placed((), numbers=_array([total]).reshape(())),), _never)


def _array(numbers: Sequence[Number]) -> Array:
    filled = np.empty(len(numbers), object)
    filled[:] = numbers
    return filled


def _place(sizes: Sequence[Number]) -> tuple[Shape, int | None]:
    """Sizes for one sample, and the axis that holds the samples."""
    if any(isinstance(s, Unknown) for s in sizes):
        raise RefusalError("makes a tensor whose size depends on the values of the inputs")
    named = [i for i, s in enumerate(sizes) if isinstance(s, Polynomial)]
    one = tuple(int(s.at(1)) if isinstance(s, Polynomial) else int(s) for s in sizes)  # pyright: ignore
    if len(named) > 1 or any(sizes[i] != sample_count(one[i]) for i in named):
        raise RefusalError(
            f"makes a tensor of shape ({', '.join(map(str, sizes))}), which is more than one batch axis"
        )
    return one, named[0] if named else None


def constant_of_shape(step: Step) -> Outcome:
    """One number everywhere."""
    value = step.attribute("value")
    number = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value).ravel()
    shape, batch = _place(step.numbers("shape", 0) or [])
    if prod(shape) > MOST_NUMBERS:
        raise RefusalError(f"makes a constant of {in_units(prod(shape) * number.itemsize)}")
    return Outcome((Placed(shape, batch, 1, np.full(shape, number[0])),), _never)


def counts(step: Step) -> Outcome:
    """Range: one number after the other; 0 .. m N counts on from sample to sample."""
    start, limit, delta = (step.numbers(name, i) for i, name in enumerate(("start", "limit", "delta")))
    if not (start and limit and delta):
        raise RefusalError("has no bounds")
    (a,), (b,), (c,) = start, limit, delta
    if isinstance(b, Polynomial) and (a, c) == (0, 1) and b == sample_count(int(b.at(1))):
        entries = int(b.at(1))
        numbers = _array([sample_number(entries) + i for i in range(entries)])
        return Outcome((Placed((entries,), 0, 1, numbers),), _never)
    if any(isinstance(x, Polynomial | Unknown) for x in (a, b, c)):
        raise RefusalError(f"counts from {a} to {b}, which the inputs decide")
    bounds: list[Any] = [a, b, c]
    numbers = np.arange(*bounds, dtype=np.asarray(a).dtype)
    return Outcome((Placed(numbers.shape, numbers=numbers),), _never)


def expand(step: Step) -> Outcome:
    """Axes of size 1 repeated up to a shape."""
    target, x = step.numbers("shape", 1) or [], step.input(0)
    rank = max(len(target), len(x.shape))
    sizes = [*[1] * (rank - len(target)), *target]
    shape, batch = _place(sizes)
    own = x.behind(rank - len(x.shape))
    if own.batch is not None and batch is None and step.samples is None and shape[own.batch] != 1:
        raise RefusalError(f"stretches axis {own.batch} of {own}, the batch axis, to {shape[own.batch]}")
    if (
        step.samples is not None
        and own.batch is not None
        and shape[own.batch] in (1, own.shape[own.batch] * step.samples)
    ):
        # The file's own batch, or none.
        shape = tuple(1 if i == own.batch else s for i, s in enumerate(shape))
    before = own.before if batch is not None and batch == own.batch else 1
    lined = aligned([x, Placed(shape, batch, before)], step.samples)
    result, moved = lined.result, lined.inputs[0]
    value = moved.value
    numbers = (
        None if value is None or prod(result.shape) > MOST_NUMBERS else np.broadcast_to(value, result.shape)
    )

    def write(writer: Writer) -> None:
        name = writer.lined_up(step.node.input[0], x, moved, result, step.output)
        wanted = [1] * writer.shift + list(result.sample_shape)
        writer.copy(step.node, [name, writer.integers(wanted, step.output)])

    return Outcome((result.valued(numbers),), write, (0,))


def tile(step: Step) -> Outcome:
    """Whole tensors repeated along axes; what is equal for all samples may be repeated for each."""
    x, repeats = step.input(0), step.numbers("repeats", 1) or []
    if len(repeats) != len(x.shape):
        raise RefusalError(f"repeats {x} by ({', '.join(map(str, repeats))})")
    batch, counts_ = x.batch, []
    for axis, count in enumerate(repeats):
        if isinstance(count, Unknown):
            raise RefusalError("repeats a tensor as often as the values of the inputs say")
        if isinstance(count, Polynomial):
            if batch is not None or count != sample_count(int(count.at(1))):
                raise RefusalError(f"repeats axis {axis} of {x} by {count}, the number of samples")
            batch = axis
        elif axis == x.batch and count != 1:
            raise RefusalError(f"repeats axis {axis} of {x}, the batch axis")
        counts_.append(int(count.at(1)) if isinstance(count, Polynomial) else int(count))
    shape = tuple(s * c for s, c in zip(x.shape, counts_, strict=True))
    value = x.value
    numbers = None if value is None or prod(shape) > MOST_NUMBERS else np.tile(value, counts_)
    kept = [c for i, c in enumerate(counts_) if i != x.batch or x.is_merged]

    def write(writer: Writer) -> None:
        name = writer.operand(step.node.input[0], x, step.output)
        writer.copy(step.node, [name, writer.integers([1] * writer.shift + kept, step.output)])

    return Outcome((Placed(shape, batch, x.before if batch == x.batch else 1, numbers),), write, (0,))


def one_hot(step: Step) -> Outcome:
    """One of two numbers in each place of a new axis: the second where an id names the place."""
    ids, values = step.input(0), step.input(2)
    rank = len(ids.shape)
    (depth,) = step.integers("depth", 1) or [0]
    axis = positive(step.attribute("axis", -1), rank + 1)
    if not values.is_constant:
        raise RefusalError("its two numbers are computed by the network")
    off, on = values.first_sample.ravel().tolist()
    batch = None if ids.batch is None else ids.batch + (axis <= ids.batch)
    result = Placed((*ids.shape[:axis], depth, *ids.shape[axis:]), batch, ids.before)
    place = result.sample_axis(axis)

    def write(writer: Writer) -> None:
        output, shape = step.output, ids.sample_shape
        column = writer.reshaped(step.node.input[0], (*shape[:place], 1, *shape[place:]), f"{output}:ids")
        every = np.arange(depth, dtype=np.int64).reshape(depth, *(1,) * (len(shape) - place))
        number = writer.add("Cast", [column], f"{output}:number", to=7)
        parts = []
        # Ids below 0 count from the end.
        for i, names in enumerate((every, every - depth)):
            same = writer.add("Equal", [number, writer.constant(names, output)], f"{output}:same{i}")
            parts.append(writer.add("Cast", [same], f"{output}:named{i}", to=1))
        hot = writer.add("Add", parts, f"{output}:hot")
        scaled = writer.add(
            "Mul", [hot, writer.constant(np.array(on - off, np.float32), output)], f"{output}:scaled"
        )
        shifted = writer.add(
            "Add", [scaled, writer.constant(np.array(off, np.float32), output)], f"{output}:shifted"
        )
        kind = helper.np_dtype_to_tensor_dtype(values.first_sample.dtype)
        writer.add("Cast", [shifted], output, step.node.name, to=kind)

    return Outcome((result,), write, (0,))
