"""Entries written over others at places that are known: both side by side in one list, and picked from it.

data (T, E)   updates (k, E)   places (k, 1)       [data, updates] (T E + k E)   Gather   (T, E)
"""

from collections.abc import Callable
from math import prod

import numpy as np

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.numbers import objects, unknowns
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import DECIDED_BY_DATA, Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model.maps import Array


def scatter_elements(step: Step) -> Outcome:
    """One place of an axis for each entry."""
    data, updates = step.input(0), step.input(2)
    axis, ids = step.axis("axis", 0), _places(step)
    batch = data.batch if data.batch is not None else updates.batch
    if batch == axis and step.samples != 1:
        raise RefusalError(f"writes along axis {axis} of {data}, the batch axis")
    data, updates = (_beside(x, batch, step) for x in (data, updates))

    def written(table: Array, values: Array) -> None:
        own = np.indices(ids.shape)
        table[(*own[:axis], ids, *own[axis + 1 :])] = values

    return _outcome(step, data, updates, written)


def scatter_nd(step: Step) -> Outcome:
    """Several numbers for each place, along the first axes."""
    data, updates, ids = step.input(0), step.input(2), _places(step)
    width, lead = ids.shape[-1], len(ids.shape) - 1
    batch = data.batch
    if batch is None and updates.batch is not None:
        batch = updates.batch - lead + width
    if batch is not None and batch < width and step.samples != 1:
        raise RefusalError(f"writes along axis {batch} of {data}, the batch axis")
    data = _beside(data, batch, step)
    if batch is not None and batch >= width:
        updates = _beside(updates, batch - width + lead, step)

    def written(table: Array, values: Array) -> None:
        table[tuple(np.moveaxis(ids, -1, 0))] = values

    return _outcome(step, data, updates, written)


def _places(step: Step) -> Array:
    """The numbers of the places, for one sample.

    Raises:
        RefusalError: data decide them, or entries are added to others.
    """
    ids = step.input(1)
    if not ids.is_known or ids.depends:
        raise RefusalError(f"writes entries at places that {_decided(ids)}")
    if step.attribute("reduction", "none") != "none":
        raise RefusalError(f"combines entries by {step.attribute('reduction')}, which is not supported")
    return ids.first_sample.astype(np.int64)


def _decided(ids: Placed) -> str:
    return "depend on the number of samples" if ids.is_known else DECIDED_BY_DATA.replace("depends", "depend")


def _beside(x: Placed, batch: int | None, step: Step) -> Placed:
    """A tensor with its samples in an axis; constants are the same for all of them."""
    if x.is_merged:
        raise RefusalError(f"writes entries into {x}, whose batch axis holds others")
    if x.batch == batch or batch is None:
        return x
    if x.batch is not None:
        raise RefusalError(f"its inputs have the batch axis in two places, {x} and axis {batch}")
    return (
        x.with_shape(x.shape, batch).valued(x.value)
        if x.shape[batch] == 1
        else divided_constant(x, batch, 1, 1, step.samples)
    )


def _outcome(step: Step, data: Placed, updates: Placed, written: Callable[[Array, Array], None]) -> Outcome:
    """The list that both make, and which of its entries stands where."""
    size, added = prod(data.shape), prod(updates.shape)
    table = np.arange(size).reshape(data.shape)
    try:
        written(table, np.arange(size, size + added).reshape(updates.shape))
    except (ValueError, IndexError) as error:
        raise RefusalError(f"writes {updates} over {data}, which does not fit: {error}") from error
    values = [x.value for x in (data, updates)]
    numbers = None
    if any(v is not None for v in values):
        pairs = zip((data, updates), values, strict=True)
        numbers = np.concatenate([(unknowns(x.shape) if v is None else objects(v)).ravel() for x, v in pairs])
        numbers = numbers[table]
    result = Placed(data.shape, data.batch, 1, numbers)

    def write(writer: Writer) -> None:
        names = [step.node.input[0], step.node.input[2]]
        beside = next(n for n, x in zip(names, (data, updates), strict=True) if not x.is_known)
        flat = [
            _list(writer, n, x, beside, f"{step.output}:{i}")
            for i, (n, x) in enumerate(zip(names, (data, updates), strict=True))
        ]
        every = writer.add("Concat", flat, f"{step.output}:both", axis=writer.axis(0))
        places = writer.integers(table.ravel(), step.output)
        picked = writer.add("Gather", [every, places], f"{step.output}:list", axis=writer.axis(0))
        writer.reshaped(picked, result.sample_shape, step.output, step.node.name)

    return Outcome((result,), write, (0, 2))


def _list(writer: Writer, name: str, x: Placed, beside: str, output: str) -> str:
    """All entries of a sample one after the other."""
    if not x.is_known:
        return writer.reshaped(name, (prod(x.shape),), output)
    values = x.first_sample.ravel()
    return writer.for_each_sample(values, beside, output) if writer.shift else writer.constant(values, output)
