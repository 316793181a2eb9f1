"""How a term reads its source: a table of entries, behind a sparse matrix where the maps compute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine, LinearMap, Shape, Term, apply_chain, chain_matrix, selects
from sim_compress.model.maps import Array, chain_shape
from sim_compress.runtime.reverse.lanes import Floats
from sim_compress.runtime.reverse.looked_up import LookedUp, parted

Table = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Features:
    """The features of one term.

    Attributes:
        table: (features, positions), which entry of what is read each is; the one behind the last is zero.
        matrix, offset: what is read is matrix @ source + offset, the source itself where there is no matrix.
        looked_up: the rows of a table that are read in the place of the source.
    """

    table: Table
    matrix: sparse.csr_array | None = None
    offset: Floats | None = None
    looked_up: LookedUp | None = None

    def read(self, source: Floats, raw: Array | None, target: Callable[[str, int], Floats]) -> Floats:
        """The entries that the table names.

        Args:
            source: (entries + 1, LANES).
            raw: the same as (*shape, LANES) in its own dtype, where it is an input.
            target: gives entries to write to, by what they hold, where that is not the source itself.
        """
        if self.looked_up is not None:
            rows = self.looked_up.rows(source, raw)
            source = target("rows", self.looked_up.size)
            source[:-1] = rows.reshape(len(source) - 1, -1)
        if self.matrix is None:
            return source
        made = target("features", len(self.matrix.indptr) - 1)
        np.add(self.matrix @ source[:-1], 0 if self.offset is None else self.offset, out=made[:-1])
        return made

    def pull_back(self, gradient: Floats, target: Floats) -> None:
        """Add to the gradient of the source, or of the rows looked up, that of what was read."""
        if self.matrix is not None:
            target[:-1] += self.matrix.T @ gradient[:-1]


def features(affine: Affine, term: Term, shape: Shape) -> Features:
    """Of a term whose source has this shape; a skip connection's are the rows themselves."""
    axis = affine.row_axis if term.weight is None else 0
    looked_up, maps, shape = parted(term.maps, shape)
    if all(map(selects, maps)):
        table = _table(_numbers(maps, shape), axis, int(np.prod(shape)))
        return Features(table, looked_up=looked_up)
    out = chain_shape(maps, shape)
    table = _table(np.arange(1, np.prod(out) + 1).reshape(out), axis, int(np.prod(out)))
    matrix, offset = chain_matrix(maps, shape)
    constant = offset.astype(np.float32)[:, None] if offset.any() else None
    return Features(table, sparse.csr_array(matrix, dtype=np.float32), constant, looked_up)


def _numbers(maps: Sequence[LinearMap], shape: Shape) -> Array:
    """The entry from 1 on that each feature is, 0 for zero."""
    numbers = np.arange(1, np.prod(shape) + 1).reshape(*shape, 1)
    return apply_chain(maps, numbers)[..., 0]


def _table(numbers: Array, axis: int, size: int) -> Table:
    """(features, positions) from the entries' numbers; what is 0 reads the entry behind the last."""
    rows = np.moveaxis(numbers, axis, 0) if numbers.ndim else numbers[None]
    flat = rows.reshape(len(rows), -1)
    return np.ascontiguousarray(np.where(flat > 0, flat - 1, size), np.int32)
