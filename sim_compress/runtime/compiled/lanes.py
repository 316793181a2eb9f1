"""Where the states lie: vectors whose lanes hold samples and patches of the image.

A position of a patch is one vector. With as many samples as lanes every lane is a sample; with fewer, the
image is cut into a grid of patches and each patch gets a lane. A shift by a pixel is then a shift by a
whole vector, aligned, for any batch size, and a stride only skips vectors. Each patch has a halo: copies
of its neighbours' borders, or the zero padding of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]
# Rows before, columns before, rows after, columns after.
Halo = tuple[int, int, int, int]
# What an entry of a halo costs beside a vector of the patch, when a grid is chosen.
HALO_COST = 0.1
# How much dearer a geometry may be that strided readers need no copy of.
FITTED_COST = 1.4


@dataclass(frozen=True)
class Lanes:
    """How `samples` share vectors of `width` lanes."""

    width: int
    samples: int

    @property
    def slots(self) -> int:
        """Samples in one vector, a power of two."""
        return min(self.width, 1 << max(self.samples - 1, 0).bit_length())

    @property
    def parts(self) -> int:
        """Patches of one sample: the distance between two samples, in floats."""
        return self.width // self.slots

    @property
    def groups(self) -> int:
        """Vectors of one position."""
        return -(-max(self.samples, 1) // self.width)


@dataclass(frozen=True)
class Geometry:
    """One channel of an image of `size`, cut into a `grid` of patches with a halo."""

    lanes: Lanes
    size: Pair
    grid: Pair
    patch: Pair
    halo: Halo

    @property
    def pitch(self) -> int:
        """Positions from one row of a patch to the next."""
        return self.patch[1] + self.halo[1] + self.halo[3]

    @property
    def plane(self) -> int:
        """Vectors of a channel."""
        return (self.patch[0] + self.halo[0] + self.halo[2]) * self.pitch * self.lanes.groups

    def vector(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        """First vector of the positions (row, column) of a patch; negative ones lie in the halo."""
        return ((row + self.halo[0]) * self.pitch + column + self.halo[1]) * self.lanes.groups

    @property
    def first(self) -> int:
        """Vector of the first position in its channel."""
        return (self.halo[0] * self.pitch + self.halo[1]) * self.lanes.groups

    @cached_property
    def positions(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of all positions of a patch."""
        rows, columns = np.indices(self.patch)
        return rows.ravel(), columns.ravel()

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Place of every pixel in its channel, in floats, for the first sample: shape `size`."""
        rows, columns = np.arange(self.size[0])[:, None], np.arange(self.size[1])
        lane = rows // self.patch[0] * self.grid[1] + columns // self.patch[1]
        return self.vector(rows % self.patch[0], columns % self.patch[1]) * self.lanes.width + lane

    def inside(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Per position, or entry of the halo, and lane: whether the image has a pixel there."""
        down, right = np.divmod(np.arange(self.lanes.parts), self.grid[1])
        y, x = rows[:, None] + down * self.patch[0], columns[:, None] + right * self.patch[1]
        valid = (y >= 0) & (y < self.size[0]) & (x >= 0) & (x < self.size[1]) & (down < self.grid[0])
        return np.tile(valid, self.lanes.slots)

    def box(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of all vectors of a channel, halo included."""
        top, left, bottom, right = self.halo
        rows, columns = np.mgrid[-top : self.patch[0] + bottom, -left : self.patch[1] + right].reshape(2, -1)
        return rows, columns

    def halo_copies(self) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]:
        """Entries of the halo that hold pixels, in the order of their sources.

        Returns:
            (target, source) in floats; which lanes hold a pixel; the position that the source is.
        """
        rows, columns = self.box()
        down, across = rows // self.patch[0], columns // self.patch[1]
        kept = ((down != 0) | (across != 0)) & self.inside(rows, columns).any(axis=1)
        rows, columns, down, across = rows[kept], columns[kept], down[kept], across[kept]
        row, column = rows - down * self.patch[0], columns - across * self.patch[1]
        order = np.argsort(row * self.patch[1] + column, kind="stable")
        shift = down * self.grid[1] + across
        width = self.lanes.width
        pairs = np.stack(
            [self.vector(rows, columns) * width, self.vector(row, column) * width + shift], axis=1
        )
        position = row * self.patch[1] + column
        return pairs[order], self.inside(rows, columns)[order], position[order]

    def filled(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Every place of a channel that holds a pixel, halo included: (place in floats, row, column)."""
        rows, columns = self.box()
        parts = self.lanes.parts
        entry, lane = np.nonzero(self.inside(rows, columns)[:, :parts])
        down, right = np.divmod(lane, self.grid[1])
        places = self.vector(rows[entry], columns[entry]) * self.lanes.width + lane
        return places, rows[entry] + down * self.patch[0], columns[entry] + right * self.patch[1]


def grids(lanes: Lanes) -> list[Pair]:
    """Grids that use all parts of a sample."""
    return [(1 << k, lanes.parts >> k) for k in range(lanes.parts.bit_length())]


def best_geometry(
    lanes: Lanes, size: Pair, halo: Halo, readers: Sequence[tuple["Geometry", Pair]] = ()
) -> Geometry:
    """The grid with the fewest vectors, halo included at its price.

    Args:
        readers: geometries that read this one with strides; their own patches, times the strides, are
            taken where that is not much dearer, because otherwise the image is copied for them.
    """

    def cost(geometry: Geometry) -> float:
        vectors = geometry.patch[0] * geometry.patch[1]
        return vectors + HALO_COST * (geometry.plane // lanes.groups - vectors)

    def with_grid(grid: Pair) -> Geometry:
        return Geometry(lanes, size, grid, (-(-size[0] // grid[0]), -(-size[1] // grid[1])), halo)

    best = min(map(with_grid, grids(lanes)), key=cost)
    for reader, (down, right) in readers:
        patch = down * reader.patch[0], right * reader.patch[1]
        fitted = Geometry(lanes, size, reader.grid, patch, halo)
        covers = all(g * p >= s for g, p, s in zip(reader.grid, patch, size, strict=True))
        if covers and cost(fitted) <= FITTED_COST * cost(best):
            return fitted
    return best
