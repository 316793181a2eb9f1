"""Where the samples are in a tensor of a new shape that keeps the order of entries.

The samples divide the entries into P in front of them and Q behind. In the new shape the axis that takes them
has A entries before it and C behind:

    old  [ ..... P ..... ] N [ ..... Q ..... ]
    new  [ . A . ] [ P/A   N   Q/C ] [ . C . ]

So A divides P, C divides Q, and the axis has P/A N Q/C entries.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from sim_compress.frontend.axes.numbers import Number, Polynomial, Unknown, divided, sample_count
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.refusal import RefusalError


@dataclass(frozen=True)
class Place:
    """An axis of a new shape that can take the samples: P/A and Q/C entries around them."""

    axis: int
    before: int
    after: int

    @property
    def is_merged(self) -> bool:
        return self.before * self.after != 1


def full_sizes(x: Placed, target: Sequence[Number], samples: int | None, allow_zero: bool) -> list[Number]:
    """The sizes that a Reshape asks for, with 0 and -1 worked out.

    Args:
        samples: the batch that the file fixes, None where it is open.

    Raises:
        RefusalError: they do not follow.
    """
    own = [s if samples is None or i != x.batch else x.shape[i] * samples for i, s in enumerate(x.sizes)]
    sizes = list(target)
    for i, size in enumerate(sizes):
        if not isinstance(size, Polynomial | Unknown) and size == 0 and not allow_zero:
            if i >= len(own):
                raise RefusalError(f"its target copies axis {i}, which {x} has not")
            sizes[i] = own[i]
    if any(isinstance(s, Unknown) for s in sizes):
        raise RefusalError("its target depends on the values of the inputs")
    open_axes = [i for i, s in enumerate(sizes) if not isinstance(s, Polynomial) and s == -1]
    if open_axes:
        rest: Number = 1
        for i, size in enumerate(sizes):
            rest = rest * size if i != open_axes[0] else rest
        total: Number = 1
        for size in own:
            total = total * size
        sizes[open_axes[0]] = _exact(total, rest)
    return sizes


def _exact(total: Number, rest: Number) -> Number:
    quotient = divided(total, rest)
    if isinstance(quotient, Unknown):
        raise RefusalError(f"its target leaves one size open, and {total} entries do not divide by {rest}")
    return quotient


def places(x: Placed, sizes: Sequence[Number], samples: int | None) -> list[Place]:
    """The axes of a new shape that can take the samples; an axis of their own comes first.

    Raises:
        RefusalError: none can.
    """
    assert x.batch is not None
    before = prod(x.shape[: x.batch]) * x.before
    after = prod(x.shape) // before
    named = [i for i, s in enumerate(sizes) if isinstance(s, Polynomial)]
    if len(named) > 1 or (samples is None and not named):
        raise RefusalError(f"its target {shown(sizes)} has no place for the batch axis of {x}")
    one = [int(s.at(1)) if isinstance(s, Polynomial) else int(s) for s in sizes]  # pyright: ignore
    found = []
    for axis in named or range(len(sizes)):
        a, c = prod(one[:axis]), prod(one[axis + 1 :])
        if not a or not c or before % a or after % c:
            continue
        place = Place(axis, before // a, after // c)
        expected = sample_count(place.before * place.after)
        held = expected if named else place.before * place.after * (samples or 1)
        if sizes[axis] == held:
            found.append(place)
    if not found:
        raise RefusalError(f"its target {shown(sizes)} mixes the batch axis of {x} with others")
    return sorted(found, key=lambda p: p.is_merged) if not _goes_right(x, one, found) else found[::-1]


def _goes_right(x: Placed, sizes: Sequence[int], found: Sequence[Place]) -> bool:
    """Whether samples from an axis of their own go with the axis behind them, the one that changes."""
    assert x.batch is not None
    if x.is_merged or any(not p.is_merged for p in found) or len(found) < 2:
        return False
    left = x.shape[x.batch - 1] if x.batch else 1
    right = x.shape[x.batch + 1] if x.batch + 1 < len(x.shape) else 1
    return sizes[found[0].axis] == left and sizes[found[-1].axis] != right


def regrouped(x: Placed, sizes: Sequence[Number], place: Place) -> Placed:
    """The tensor in its new shape."""
    shape = tuple(
        place.before * place.after if i == place.axis else int(s)  # pyright: ignore
        for i, s in enumerate(sizes)
    )
    if prod(shape) != prod(x.shape):
        raise RefusalError(f"its target {shown(sizes)} does not hold the entries of {x}")
    value = None if x.value is None else x.value.reshape(shape)
    return Placed(shape, place.axis, place.before, value)


def reshaped_constant(x: Placed, sizes: Sequence[Number]) -> Placed:
    """A tensor without samples in a new shape."""
    if any(isinstance(s, Polynomial) for s in sizes):
        raise RefusalError(f"its target {shown(sizes)} has a batch axis, and {x} has none")
    shape = tuple(int(s) for s in sizes)  # pyright: ignore
    if prod(shape) != prod(x.shape):
        raise RefusalError(f"its target {shown(sizes)} does not hold the entries of {x}")
    return Placed(shape, numbers=None if x.value is None else np.reshape(x.value, shape))


def shown(sizes: Sequence[Number]) -> str:
    return "(" + ", ".join(str(s) for s in sizes) + ")"
