"""Channels of a state on their way through fixed maps: which entry of the result belongs to which channel.

Numbers stand along one axis of a tensor; entries that a map adds, as padding, have numbers below 0 of their
own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from sim_compress.model.maps import (
    AlongAxis,
    Array,
    LinearMap,
    Lookup,
    Offset,
    Scale,
    Shape,
    Sum,
    selects,
)

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Numbered:
    """A tensor whose entries belong to channels along one axis.

    Attributes:
        shape: of the tensor.
        axis: along which the channel changes, and along no other.
        numbers: (shape[axis],) channel of each place, below 0 where a map added it.
    """

    shape: Shape
    axis: int
    numbers: Numbers


def numbered(maps: Sequence[LinearMap], start: Numbered) -> tuple[Numbered, ...] | None:
    """What goes into each map of a chain, and its result; None where a map mixes channels.

    Channels are also mixed where they end up along several axes at once, as in a channel shuffle.
    """
    added = count(-1, -1)
    stages = [start]
    for step in maps:
        following = _after(step, stages[-1], added)
        if following is None:
            return None
        stages.append(following)
    return tuple(stages)


def _after(step: LinearMap, x: Numbered, added: count) -> Numbered | None:
    shape = step.out_shape(x.shape)
    match step:
        case Scale() | Offset():
            return x
        case Lookup():
            return None
        case Sum(axes=axes):
            own = x.axis - sum(a < x.axis for a in axes)
            return None if x.axis in axes else Numbered(shape, own, x.numbers)
        case AlongAxis() if not selects(step):
            return None if step.axis == x.axis else Numbered(shape, x.axis, x.numbers)
    return _selected(step, x, shape, added)


def _selected(step: LinearMap, x: Numbered, shape: Shape, added: count) -> Numbered | None:
    """A map that copies entries: every channel is pushed through and read back, 0 is a zero it added."""
    known, own = np.unique(x.numbers, return_inverse=True)
    along = [1] * len(x.shape)
    along[x.axis] = -1
    marks = np.broadcast_to((own + 1).reshape(along), x.shape)
    moved: Array = step.apply(marks[..., None])[..., 0]
    for axis in range(moved.ndim):
        others = tuple(a for a in range(moved.ndim) if a != axis)
        high = moved.max(axis=others)
        low = np.where(moved == 0, len(known) + 1, moved).min(axis=others)
        if np.all((high == low) | (high == 0)):
            numbers = [int(known[h - 1]) if h else next(added) for h in high]
            return Numbered(shape, axis, np.array(numbers, np.int64))
    return None
