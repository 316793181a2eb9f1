"""Fixed linear rearrangements: the parameter-free part of a term.

Every map acts on an array of shape (*shape, samples) and leaves the sample axis alone. Each knows its
output shape; `model/unrolling.py` gives a chain's sparse matrix.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from sim_compress.activations import check_held
from sim_compress.errors import DataError

Shape = tuple[int, ...]
Array = NDArray[Any]


class LinearMap(Protocol):
    """One fixed map; offsets make a chain affine."""

    def apply(self, x: Array) -> Array:
        """The mapped array; input and output have samples on the last axis."""
        ...

    def out_shape(self, shape: Shape) -> Shape:
        """Output shape without samples; ValueError where the map does not fit the input."""
        ...


@dataclass(frozen=True)
class Reshape:
    """Row-major reshape of the features."""

    shape: Shape

    def apply(self, x: Array) -> Array:
        return x.reshape(*self.shape, x.shape[-1])

    def out_shape(self, shape: Shape) -> Shape:
        if math.prod(shape) != math.prod(self.shape):
            raise ValueError(f"cannot reshape {shape} to {self.shape}")
        return self.shape


@dataclass(frozen=True)
class Transpose:
    """Permutation of the feature axes."""

    axes: Shape

    def apply(self, x: Array) -> Array:
        return x.transpose(*self.axes, x.ndim - 1)

    def out_shape(self, shape: Shape) -> Shape:
        if sorted(self.axes) != list(range(len(shape))):
            raise ValueError(f"axes {self.axes} do not permute {shape}")
        return tuple(shape[a] for a in self.axes)


@dataclass(frozen=True)
class Slice:
    """start:start + count * step:step on every feature axis; a negative step runs backwards."""

    starts: Shape
    counts: Shape
    steps: Shape

    def apply(self, x: Array) -> Array:
        for axis, (start, count, step) in enumerate(zip(self.starts, self.counts, self.steps, strict=True)):
            stop = start + count * step
            window = slice(start, None if stop < 0 else stop, step)
            x = x[(slice(None),) * axis + (window,)]
        return x

    def out_shape(self, shape: Shape) -> Shape:
        if not len(shape) == len(self.starts) == len(self.counts) == len(self.steps):
            raise ValueError(f"slice of rank {len(self.starts)} on {shape}")
        for size, start, count, step in zip(shape, self.starts, self.counts, self.steps, strict=True):
            last = start + (count - 1) * step
            if step == 0 or count < 1 or not (0 <= start < size and 0 <= last < size):
                raise ValueError(f"slice {start}:{last}:{step} leaves an axis of {size}")
        return self.counts


@dataclass(frozen=True)
class Pad:
    """Zeros before and after each feature axis."""

    before: Shape
    after: Shape

    def apply(self, x: Array) -> Array:
        return np.pad(x, [*zip(self.before, self.after, strict=True), (0, 0)])

    def out_shape(self, shape: Shape) -> Shape:
        if not len(shape) == len(self.before) == len(self.after):
            raise ValueError(f"pad of rank {len(self.before)} on {shape}")
        if min((*self.before, *self.after), default=0) < 0:
            raise ValueError(f"negative padding {self.before}, {self.after}")
        return tuple(s + b + a for s, b, a in zip(shape, self.before, self.after, strict=True))


@dataclass(frozen=True)
class Patches:
    """Convolution patches of a zero-padded (channels, *spatial) array.

    Gives (channels * prod(kernel), *out_spatial), features ordered channel first, as the weight of an
    ONNX Conv reshaped to (rows, -1).
    """

    kernel: Shape
    strides: Shape
    dilations: Shape
    before: Shape
    after: Shape

    def apply(self, x: Array) -> Array:
        spatial = len(self.kernel)
        if any(self.before) or any(self.after):
            x = np.pad(x, [(0, 0), *zip(self.before, self.after, strict=True), (0, 0)])
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        axes = tuple(range(1, 1 + spatial))
        windows = np.lib.stride_tricks.sliding_window_view(x, spans, axis=axes)
        steps = (slice(None), *(slice(None, None, s) for s in self.strides), slice(None))
        windows = windows[(*steps, *(slice(None, None, d) for d in self.dilations))]
        channels, *out, samples = windows.shape[: spatial + 2]
        order = (0, *range(spatial + 2, 2 * spatial + 2), *axes, spatial + 1)
        return windows.transpose(order).reshape(channels * math.prod(self.kernel), *out, samples)

    def out_shape(self, shape: Shape) -> Shape:
        ranks = {len(f) for f in (self.kernel, self.strides, self.dilations, self.before, self.after)}
        if ranks != {len(shape) - 1} or not self.kernel:
            raise ValueError(f"patches of rank {sorted(ranks)} on {shape}")
        if min(*self.kernel, *self.strides, *self.dilations) < 1 or min(*self.before, *self.after) < 0:
            raise ValueError(f"patches with non-positive sizes: {self}")
        out = tuple(
            (size + b + a - (k - 1) * d - 1) // s + 1
            for size, k, s, d, b, a in zip(
                shape[1:], self.kernel, self.strides, self.dilations, self.before, self.after, strict=True
            )
        )
        if min(out) < 1:
            raise ValueError(f"kernel {self.kernel} larger than the padded input {shape}")
        return (shape[0] * math.prod(self.kernel), *out)


@dataclass(frozen=True)
class Sum:
    """Sum over feature axes, which leave."""

    axes: Shape

    def apply(self, x: Array) -> Array:
        return _real(x).sum(axis=self.axes)

    def out_shape(self, shape: Shape) -> Shape:
        if (
            not self.axes
            or len(set(self.axes)) != len(self.axes)
            or not set(self.axes) <= set(range(len(shape)))
        ):
            raise ValueError(f"sum over axes {self.axes} of {shape}")
        return tuple(s for axis, s in enumerate(shape) if axis not in self.axes)


def _real(x: Array) -> Array:
    """Whole numbers and truth values as float32, before arithmetic."""
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def _fits(values: Array, shape: Shape) -> None:
    if np.broadcast_shapes(values.shape, shape) != shape:
        raise ValueError(f"constant of shape {values.shape} does not broadcast to {shape}")


@dataclass(frozen=True, eq=False)
class Scale:
    """Product with a constant that broadcasts to the features.

    Raises:
        InputError: the constant holds a number that float32 does not.
    """

    factor: Array

    def __post_init__(self) -> None:
        check_held("a constant factor", self.factor)

    def apply(self, x: Array) -> Array:
        x = _real(x)
        return x * self.factor[..., None].astype(x.dtype, copy=False)

    def out_shape(self, shape: Shape) -> Shape:
        _fits(self.factor, shape)
        return shape


@dataclass(frozen=True, eq=False)
class Offset:
    """Sum with a constant that broadcasts to the features: the column of B that meets the input 1.

    Raises:
        InputError: the constant holds a number that float32 does not.
    """

    offset: Array

    def __post_init__(self) -> None:
        check_held("a constant offset", self.offset)

    def apply(self, x: Array) -> Array:
        x = _real(x)
        return x + self.offset[..., None].astype(x.dtype, copy=False)

    def out_shape(self, shape: Shape) -> Shape:
        _fits(self.offset, shape)
        return shape


@dataclass(frozen=True, eq=False)
class AlongAxis:
    """A fixed sparse matrix (out, in) along one feature axis: picked, repeated, interpolated entries.

    The matrix is float32 and holds no learned weight.
    """

    axis: int
    matrix: sparse.csr_array

    @cached_property
    def picks(self) -> NDArray[np.int64] | None:
        """The entry that each output entry copies, -1 for zero; None where the matrix computes."""
        counts = np.diff(self.matrix.indptr)
        if (counts > 1).any() or (self.matrix.data != 1).any():
            return None
        picks = np.full(len(counts), -1)
        picks[counts == 1] = self.matrix.indices
        return picks

    def apply(self, x: Array) -> Array:
        if self.picks is not None:
            picked = np.take(x, np.maximum(self.picks, 0), axis=self.axis)
            picked[(*(slice(None),) * self.axis, self.picks < 0)] = 0
            return picked
        first = np.moveaxis(_real(x), self.axis, 0)
        product = self.matrix @ first.reshape(len(first), -1)
        return np.moveaxis(product.reshape(-1, *first.shape[1:]), 0, self.axis)

    def out_shape(self, shape: Shape) -> Shape:
        rows, columns = cast(tuple[int, int], self.matrix.shape)
        if not 0 <= self.axis < len(shape) or shape[self.axis] != columns:
            raise ValueError(f"matrix {(rows, columns)} along axis {self.axis} of {shape}")
        return (*shape[: self.axis], rows, *shape[self.axis + 1 :])


@dataclass(frozen=True, eq=False)
class Lookup:
    """Rows of a learned table (V, d) for ids: (*shape) -> (*shape, d).

    Linear in the one-hot code of its ids, not in the ids. The table is float32 and its numbers count as
    parameters. It is sparse where it is the weight of a block or output too, as tied embeddings are. Ids
    below 0 count from the end.
    """

    table: Array | sparse.csr_array

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the table."""
        return cast(tuple[int, int], self.table.shape)

    @property
    def nonzeros(self) -> int:
        """Numbers of the table that are not zero."""
        table = self.table
        return int(np.count_nonzero(table) if isinstance(table, np.ndarray) else table.count_nonzero())

    def dense_rows(self, rows: slice | Array = slice(None)) -> Array:
        """Some rows of the table with their zeros, all if not given."""
        found = self.table[rows]
        return found if isinstance(found, np.ndarray) else found.toarray()

    def ids(self, x: Array) -> NDArray[np.int64]:
        """The row of the table that each entry asks for, from 0 on.

        Raises:
            DataError: an id has no row.
        """
        size = self.shape[0]
        with np.errstate(invalid="ignore"):
            ids = x if x.dtype.kind in "iu" else np.rint(_real(x)).astype(np.int64)
        outside = (ids < -size) | (ids >= size)
        if outside.any():
            raise DataError(f"id {ids[outside][0]} has no row in a table of {size}: expected 0..{size - 1}")
        whole = ids.astype(np.int64, copy=False)
        return np.where(whole < 0, whole + size, whole)

    def apply(self, x: Array) -> Array:
        """The rows of the table.

        Raises:
            DataError: an id has no row.
        """
        ids = self.ids(x)
        found = self.dense_rows(ids.ravel()).reshape(*ids.shape, self.shape[1])
        return np.moveaxis(found, -1, -2)

    def out_shape(self, shape: Shape) -> Shape:
        if self.table.ndim != 2:
            raise ValueError(f"a table of shape {self.table.shape}, expected rows and columns")
        return (*shape, self.shape[1])


def picking(axis: int, indices: ArrayLike, size: int) -> AlongAxis:
    """The map that picks entries along an axis of the given size; an index of -1 gives zero."""
    picks = np.asarray(indices, np.int32)
    there = picks >= 0
    indptr = np.concatenate([[0], np.cumsum(there)]).astype(np.int32)
    ones = np.ones(np.count_nonzero(there), np.float32)
    return AlongAxis(axis, sparse.csr_array((ones, picks[there], indptr), shape=(len(picks), size)))


SELECTIONS = (Reshape, Transpose, Slice, Pad, Patches)
MAPS: dict[str, type] = {
    kind.__name__.lower(): kind for kind in (*SELECTIONS, Sum, Scale, Offset, AlongAxis, Lookup)
}


def selects(step: LinearMap) -> bool:
    """Whether every output entry is one input entry or zero."""
    return isinstance(step, SELECTIONS) or (isinstance(step, AlongAxis) and step.picks is not None)


def apply_chain(maps: Sequence[LinearMap], x: Array) -> Array:
    """Apply maps in order to an array of shape (*shape, samples)."""
    return reduce(lambda value, step: step.apply(value), maps, x)


def chain_shape(maps: Sequence[LinearMap], shape: Shape) -> Shape:
    """Output shape of a chain; ValueError where a map does not fit."""
    return reduce(lambda current, step: step.out_shape(current), maps, shape)
