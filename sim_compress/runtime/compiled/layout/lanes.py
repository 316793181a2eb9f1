"""Where the states lie: vectors whose lanes hold samples and patches of the image.

A position of a patch is one vector. With as many samples as lanes every lane is a sample; with fewer, the
image is cut into a grid of patches and each patch gets a lane. A shift by a pixel is then a shift by a
whole vector, aligned, for any batch size, and a stride only skips vectors. Each patch has a halo: copies
of its neighbours' borders, or the zero padding of the image.

For threads that share one image it is cut into bands first, and every band into patches of its own: what a
band works on are its own vectors, because a cache line that goes from one processor to another is dear.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

# Vectors of a channel that may be an even number: a tile.
SMALL_PLANE = 8

Pair = tuple[int, int]
# Rows before, columns before, rows after, columns after.
Halo = tuple[int, int, int, int]


@dataclass(frozen=True)
class Lanes:
    """How `samples` share vectors of `width` lanes.

    Attributes:
        bands: parts of every image that threads work on side by side, each in vectors of its own.
        distance: vectors from one band to the next. Processors fetch lines beside those that they are
            asked for: bands that lay channel by channel side by side would be torn from each other.
    """

    width: int
    samples: int
    bands: int = 1
    distance: int = 0

    @property
    def slots(self) -> int:
        """Samples in one vector, a power of two."""
        return min(self.width, 1 << max(self.samples - 1, 0).bit_length())

    @property
    def parts(self) -> int:
        """Patches of one sample in a vector: the distance between two samples, in floats."""
        return self.width // self.slots

    @property
    def patches(self) -> int:
        """Patches of one sample: those in lanes, in every band."""
        return self.bands * self.parts

    @property
    def groups(self) -> int:
        """Vectors of one position."""
        return -(-max(self.samples, 1) // self.width)


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions of a patch in every band where a lane holds a pixel, band after band."""

    band: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]


@dataclass(frozen=True)
class Geometry:
    """One channel of an image of `size`, cut into a `grid` of patches with a halo.

    Patches are numbered row by row; so many as go into one vector are a band.
    """

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
        """Vectors from one channel to the next in one band: an odd number where there are many.

        Channels at a distance of a power of two would have the same few places in a cache.
        """
        vectors = (self.patch[0] + self.halo[0] + self.halo[2]) * self.pitch * self.lanes.groups
        return vectors | 1 if vectors > SMALL_PLANE else vectors

    def vector(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.int64]:
        """First vector of the positions (row, column) of a patch; negative ones lie in the halo."""
        return ((row + self.halo[0]) * self.pitch + column + self.halo[1]) * self.lanes.groups

    @property
    def first(self) -> int:
        """Vector of the first position in its channel."""
        return (self.halo[0] * self.pitch + self.halo[1]) * self.lanes.groups

    @cached_property
    def positions(self) -> Positions:
        """All positions that hold pixels."""
        rows, columns = np.indices(self.patch).reshape(2, -1)
        band, place = np.nonzero(self.inside(rows, columns).any(axis=2))
        return Positions(band, rows[place], columns[place])

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Number of every position that holds pixels, (bands, *patch)."""
        numbers = np.zeros((self.lanes.bands, *self.patch), np.int64)
        positions = self.positions
        numbers[positions.band, positions.row, positions.column] = np.arange(len(positions.band))
        return numbers

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Place of every pixel in its channel, in floats, for the first sample: shape `size`."""
        rows, columns = np.arange(self.size[0])[:, None], np.arange(self.size[1])
        band, lane = np.divmod(
            rows // self.patch[0] * self.grid[1] + columns // self.patch[1], self.lanes.parts
        )
        vectors = band * self.lanes.distance + self.vector(rows % self.patch[0], columns % self.patch[1])
        return vectors * self.lanes.width + lane

    def inside(self, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Per band, position or entry of the halo, and lane: whether the image has a pixel there."""
        lanes = self.lanes
        down, right = np.divmod(np.arange(lanes.patches).reshape(lanes.bands, 1, lanes.parts), self.grid[1])
        y, x = rows[:, None] + down * self.patch[0], columns[:, None] + right * self.patch[1]
        valid = (y >= 0) & (y < self.size[0]) & (x >= 0) & (x < self.size[1]) & (down < self.grid[0])
        return np.tile(valid, lanes.slots)

    def box(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of all vectors of a patch, halo included."""
        top, left, bottom, right = self.halo
        rows, columns = np.mgrid[-top : self.patch[0] + bottom, -left : self.patch[1] + right].reshape(2, -1)
        return rows, columns

    def filled(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Every place of a channel that holds a pixel, halo included: (place in floats, row, column)."""
        rows, columns = self.box()
        parts = self.lanes.parts
        band, entry, lane = np.nonzero(self.inside(rows, columns)[:, :, :parts])
        down, right = np.divmod(band * parts + lane, self.grid[1])
        vectors = band * self.lanes.distance + self.vector(rows, columns)[entry]
        places = vectors * self.lanes.width + lane
        return places, rows[entry] + down * self.patch[0], columns[entry] + right * self.patch[1]
