"""Rows of a table as what a term reads, and the gradient of a table's nonzeros."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import numpy as np
from scipy import sparse

from sim_compress.model import LinearMap, Lookup, Shape, apply_chain, chain_shape
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse.lanes import Floats, shaped
from sim_compress.runtime.reverse.tied_code import LANES


@dataclass(frozen=True, eq=False)
class LookedUp:
    """The rows that the ids of a source ask for.

    Attributes:
        before: maps between the source and its ids.
        lookup: the map to rows.
        shape: of the source.
    """

    before: tuple[LinearMap, ...]
    lookup: Lookup
    shape: Shape

    @property
    def out_shape(self) -> Shape:
        """Of the rows of all ids."""
        return self.lookup.out_shape(chain_shape(self.before, self.shape))

    @property
    def size(self) -> int:
        """Entries of the rows of all ids."""
        return prod(self.out_shape)

    def rows(self, source: Floats, raw: Array | None) -> Array:
        """The rows, (*out_shape, LANES).

        Args:
            source: (entries + 1, LANES).
            raw: the same as (*shape, LANES) in its own dtype, where it is an input.
        """
        return self.lookup.apply(self._before(source, raw))

    def add_gradient(self, gradient: Floats, source: Floats, raw: Array | None, total: Floats) -> None:
        """Add to the gradient of the nonzeros of a sparse table that of the rows.

        Args:
            gradient: (entries + 1, LANES) of the rows.
            source, raw: as for `rows`.
            total: (nonzeros,).
        """
        table, width = cast(sparse.csr_array, self.lookup.table), self.lookup.shape[1]
        ids = self.lookup.ids(self._before(source, raw)).ravel()
        by_id = np.moveaxis(gradient[:-1].reshape(-1, width, LANES), 1, 2).reshape(-1, width)
        rows, own = np.unique(ids, return_inverse=True)
        uses = sparse.csr_array((np.ones(len(ids), np.float32), (own, np.arange(len(ids)))))
        counts = np.diff(table.indptr)[rows]
        # Of every nonzero of these rows: which of them it is in, and where it stands among those of all.
        which = np.repeat(np.arange(len(rows)), counts)
        first = table.indptr[rows] - (np.cumsum(counts) - counts)
        places = np.repeat(first, counts) + np.arange(len(which))
        total[places] += (uses @ by_id)[which, table.indices[places]]

    def _before(self, source: Floats, raw: Array | None) -> Array:
        return apply_chain(self.before, shaped(source, self.shape) if raw is None else raw)


def parted(maps: Sequence[LinearMap], shape: Shape) -> tuple[LookedUp | None, tuple[LinearMap, ...], Shape]:
    """The last lookup of a chain, the maps behind it and the shape that they read."""
    places = [i for i, step in enumerate(maps) if isinstance(step, Lookup)]
    if not places:
        return None, tuple(maps), shape
    last = places[-1]
    found = LookedUp(tuple(maps[:last]), cast(Lookup, maps[last]), shape)
    return found, tuple(maps[last + 1 :]), found.out_shape
