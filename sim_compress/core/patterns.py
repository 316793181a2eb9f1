"""Projections onto sparse rows of a pattern: the best mask of that pattern under the Frobenius norm.

The core knows a pattern as numbers on columns and rows: entries with the same number are a group. What the
columns stand for is the caller's business.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Numbers = NDArray[np.intp]
# Rows in float32, in which supports are searched, or float64.
Values = NDArray[np.floating]


class Projection(Protocol):
    """Where the nearest rows of a pattern are not zero."""

    def __call__(self, V: Values, count: int) -> Mask:
        """The mask (rows, features) of at most `count` entries that keeps most of |V|_F."""
        ...


# Sizes are partitioned between two bounds, guessed from so many of them, where there are many times more: a
# third of the time of a whole partition on a feed-forward half of MiniLM, to the same mask.
SAMPLE, MANY_TIMES = 4096, 8
# Bounds lie so many standard deviations of a quantile of the sample on both sides of it.
APART = 3.0


def largest(V: Values, count: int) -> Mask:
    """No pattern: the entries of largest size, ties to the earliest; what is no number counts least.

    A partition finds the least size that is kept, and no entry is put into order.
    """
    sizes = np.abs(V).ravel()
    np.copyto(sizes, -1.0, where=np.isnan(sizes))
    if count <= 0 or count >= sizes.size:
        return np.full(V.shape, count > 0)
    least = _size_of_rank(sizes, count)
    mask = sizes > least
    mask[np.flatnonzero(sizes == least)[: count - np.count_nonzero(mask)]] = True
    return mask.reshape(V.shape)


def _size_of_rank(sizes: NDArray[np.floating], rank: int) -> float:
    """The rank-th largest of some sizes, 0 < rank < their number."""
    if sizes.size >= MANY_TIMES * SAMPLE:
        # An odd step meets all rows and columns.
        some = np.sort(sizes[:: sizes.size // SAMPLE | 1])
        place = len(some) * (1 - rank / sizes.size)
        apart = APART * np.sqrt(len(some)) / 2
        least, most = some[np.clip([place - apart, place + apart], 0, len(some) - 1).astype(int)]
        inside = sizes[(sizes >= least) & (sizes <= most)]
        own = rank - int(np.count_nonzero(sizes > most))
        if 0 < own <= len(inside):
            sizes, rank = inside, own
    place = sizes.size - rank
    return float(np.partition(sizes, place)[place])


@dataclass(frozen=True, eq=False)
class Quota:
    """At most `kept` entries of each group of columns in every row.

    Attributes:
        columns: (features,) number of each column's group, from 0.
        kept: entries; a group that is no larger is kept whole.
    """

    columns: Numbers
    kept: int

    def __call__(self, V: Values, count: int) -> Mask:
        """The largest of each group, ties to the earliest; where they are more than `count`, the largest."""
        sizes = np.abs(V)
        # A sentinel column behind the last fills the short groups.
        padded = np.hstack([sizes, np.full((len(V), 1), -1.0)])[:, self._members]
        order = np.argsort(-padded, axis=2, kind="stable")[:, :, : self.kept]
        places = np.take_along_axis(np.broadcast_to(self._members, padded.shape), order, axis=2)
        mask = np.zeros((len(V), V.shape[1] + 1), bool)
        np.put_along_axis(mask, places.reshape(len(V), -1), True, axis=1)
        mask = mask[:, :-1]
        return mask if mask.sum() <= count else largest(sizes * mask, count) & mask

    @cached_property
    def _members(self) -> Numbers:
        """Columns of each group in order, (groups, size of the largest); behind a short one the sentinel."""
        sizes = np.bincount(self.columns)
        members = np.full((len(sizes), sizes.max(initial=0)), len(self.columns))
        order = np.argsort(self.columns, kind="stable")
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        members[self.columns[order], np.arange(len(order)) - first[self.columns[order]]] = order
        return members


@dataclass(frozen=True, eq=False)
class Tied:
    """Tiles, each kept or dropped as a whole: a group of rows times a group of columns.

    Attributes:
        rows: (rows,) number of each row's group, from 0.
        columns: (features,) number of each column's group, from 0.
    """

    rows: Numbers
    columns: Numbers

    def __call__(self, V: Values, count: int) -> Mask:
        """Tiles of the largest mean square as long as they fit into the count, ties to the earliest.

        Where all tiles have one size no mask of so many entries keeps more of |V|_F. Behind the first tile
        that does not fit only smaller ones are taken.
        """
        tiles, sizes = self._tiles, self._sizes
        energy = np.bincount(tiles.ravel(), (V * V).ravel(), len(sizes)) / np.maximum(sizes, 1)
        order = np.argsort(-energy, kind="stable")
        fits = np.cumsum(sizes[order]) <= count
        chosen, left = order[fits], order[~fits]
        room = count - int(sizes[chosen].sum())
        for size in np.unique(sizes[left])[::-1]:
            taken = left[sizes[left] == size][: room // size] if size else left[:0]
            chosen = np.concatenate([chosen, taken])
            room -= len(taken) * int(size)
        kept = np.zeros(len(sizes), bool)
        kept[chosen] = True
        return kept[tiles]

    @cached_property
    def _tiles(self) -> Numbers:
        """Number of each entry's tile, (rows, features)."""
        return self.rows[:, None] * (self.columns.max(initial=-1) + 1) + self.columns

    @cached_property
    def _sizes(self) -> Numbers:
        return np.bincount(self._tiles.ravel())


@dataclass(frozen=True, eq=False)
class WithBias:
    """Rows with their bias as one more column: some biases are given, the others are entries like weights.

    A pattern says what every row keeps: beside it there are no biases but the given ones.

    Attributes:
        project: onto the supports of the weights.
        given: (rows,) biases that stay and count nothing.
    """

    project: Projection
    given: Mask

    def __call__(self, V: Values, count: int) -> Mask:
        if self.project is largest:
            mask = largest(np.column_stack([V[:, :-1], np.where(self.given, 0.0, V[:, -1])]), count)
        else:
            mask = np.column_stack([self.project(V[:, :-1], count), np.zeros(len(V), bool)])
        mask[self.given, -1] = True
        return mask
