"""How the inputs of an elementwise node line up: from the right, all samples at one place."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from sim_compress.frontend.axes.numbers import objects, sample_number
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model.maps import Array


@dataclass(frozen=True, eq=False)
class Aligned:
    """Inputs with as many axes as the result.

    Attributes:
        result: what an elementwise node gives, of unknown value.
        inputs: in order.
    """

    result: Placed
    inputs: tuple[Placed, ...]


def aligned(inputs: Sequence[Placed], samples: int | None) -> Aligned:
    """Line up inputs by numpy's rules.

    Args:
        samples: the batch that the file fixes, None where it is open.

    Raises:
        RefusalError: shapes do not go together, or samples are in two places.
    """
    rank = max(len(x.shape) for x in inputs)
    lined = [x.behind(rank - len(x.shape)) for x in inputs]
    batched = [x for x in lined if x.batch is not None]
    main = max(batched, key=lambda x: (x.shape[x.batch or 0], prod(x.shape)), default=None)
    if main is not None:
        lined = [_beside(x, main, samples) for x in lined]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in lined))
    except ValueError as error:
        raise RefusalError(
            f"combines shapes {', '.join(map(str, inputs))}, which do not broadcast"
        ) from error
    batch = None if main is None else main.batch
    return Aligned(Placed(shape, batch, 1 if main is None else main.before), tuple(lined))


def _beside(x: Placed, main: Placed, samples: int | None) -> Placed:
    """An input with its samples where those of the main one are."""
    axis = main.batch
    assert axis is not None
    if x.batch is None:
        return x if x.shape[axis] == 1 else divided_constant(x, axis, main.before, main.after, samples)
    if (x.batch, x.before, x.shape[x.batch]) == (axis, main.before, main.shape[axis]):
        return x
    moved = Placed(x.shape, axis, main.before, x.value)
    if samples is not None and x.batch != axis and _is_same_place(x, main, samples):
        return moved
    raise RefusalError(f"its inputs have the batch axis in two places, {x} and {main}")


def _is_same_place(x: Placed, main: Placed, samples: int) -> bool:
    """Whether a file of fixed batch can as well have an input's samples where those of the main one are."""
    axis = main.batch
    assert x.batch is not None
    assert axis is not None
    in_front = prod(x.shape[:axis])
    if samples == 1:
        return x.shape[x.batch] == 1 and prod(x.shape[: x.batch]) * x.before == in_front
    held = x.shape[axis] == main.shape[axis] * samples
    return held and in_front * main.before == prod(x.shape[: x.batch]) * x.before


def divided_constant(x: Placed, axis: int, before: int, after: int, samples: int | None) -> Placed:
    """A constant with an axis (before, N, after) that holds the file's batch, as that of one sample.

    Samples with equal entries have one constant; entries that count on from sample to sample become a + d n.

    Raises:
        RefusalError: the axis does not hold the batch, or samples differ otherwise.
    """
    value = x.value
    if samples is None or x.shape[axis] != before * after * samples or value is None:
        raise RefusalError(
            f"has a constant {x} with {x.shape[axis]} entries along axis {axis}, the batch axis"
        )
    if samples == 1:
        return Placed(x.shape, axis, before, value)
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    parts = np.moveaxis(value, axis, 0).reshape(before, samples, after, *rest)
    first, step = parts[:, 0], _steps(parts, samples)
    one = first if not step.any() else _counting(first, step)
    value = np.moveaxis(one.reshape(before * after, *rest), 0, axis)
    return Placed(value.shape, axis, before, value)


def _steps(parts: Array, samples: int) -> Array:
    """What each entry grows by from one sample to the next."""
    if parts.dtype.kind not in "iu":
        if all(np.array_equal(parts[:, i], parts[:, 0]) for i in range(samples)):
            return np.zeros(parts[:, 0].shape, np.int64)
        raise RefusalError("has a constant that differs from sample to sample of the batch axis")
    step = parts[:, 1] - parts[:, 0]
    if any((parts[:, i] != parts[:, 0] + i * step).any() for i in range(samples)):
        raise RefusalError("has a constant that differs from sample to sample of the batch axis")
    return step


def _counting(first: Array, step: Array) -> Array:
    counted = np.empty(first.shape, object)
    for place, (a, d) in enumerate(zip(objects(first).flat, objects(step).flat, strict=True)):
        counted.flat[place] = a + sample_number(int(d)) if d else a
    return counted
