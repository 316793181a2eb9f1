"""Entries along the axis of the samples: each sample may only ask for its own."""

from math import prod

import numpy as np
import onnx

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.numbers import (
    Number,
    Polynomial,
    Unknown,
    depends,
    objects,
    sample_number,
)
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape
from sim_compress.model.maps import Array


def own_places(data: Placed, ids: Placed, column: int | None, samples: int | None) -> Array:
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


def counted(ids: Placed, after: int, samples: int | None, columns: bool = False) -> Placed:
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


def write_chosen(
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
