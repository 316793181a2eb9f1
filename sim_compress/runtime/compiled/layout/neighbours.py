"""What patches and bands read of each other: copies of whole vectors, shifted by lanes."""

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.layout.lanes import Geometry

# Geometries whose copies are kept: more than a program has.
KEPT = 64


@dataclass(frozen=True, eq=False)
class HaloCopies:
    """Vectors of a halo that are copied from patches beside them, some lanes each.

    Attributes:
        pairs: (target, source) in floats.
        lanes: which lanes the copy is for; others of the same target come from another band or stay zero.
        position: number of the position that the source is.
        band: the band that the target is in.
        crossing: whether the source is in another band.
    """

    pairs: NDArray[np.int64]
    lanes: NDArray[np.bool_]
    position: NDArray[np.int64]
    band: NDArray[np.int64]
    crossing: NDArray[np.bool_]

    def chosen(self, which: NDArray[Any]) -> "HaloCopies":
        """Some of them, by number or by a mask."""
        return HaloCopies(*(getattr(self, field.name)[which] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Posts:
    """Lanes that another band reads, copied side by side: it then fetches no others with them.

    Attributes:
        pairs: (target, source) in floats; targets count from where the posts begin.
        lanes: which lanes, counted from the source, are copied.
        position: number of the position that each is of.
        plane: floats of a channel's posts in one band.
    """

    pairs: NDArray[np.int64]
    lanes: NDArray[np.bool_]
    position: NDArray[np.int64]
    plane: int


@dataclass(frozen=True, eq=False)
class Neighbours:
    """How the halo of a geometry is filled."""

    geometry: Geometry

    @cached_property
    def copies(self) -> HaloCopies:
        """All copies, in the order of the sources."""
        geometry, lanes, (height, breadth) = self.geometry, self.geometry.lanes, self.geometry.patch
        rows, columns = geometry.box()
        down, across = rows // height, columns // breadth
        beside = (down != 0) | (across != 0)
        rows, columns, down, across = rows[beside], columns[beside], down[beside], across[beside]
        row, column = rows - down * height, columns - across * breadth
        shift = down * geometry.grid[1] + across
        here = np.arange(lanes.bands)[:, None, None]
        lane = np.tile(np.arange(lanes.parts), lanes.slots)
        # Bands from the target of every lane to its source.
        apart = (here * lanes.parts + lane + shift[:, None]) // lanes.parts - here
        distance = np.arange(1 - lanes.bands, lanes.bands)[:, None, None, None]
        kept = geometry.inside(rows, columns) & (apart == distance)
        number, band, entry = np.nonzero(kept.any(axis=3))
        away = distance.ravel()[number]
        target = (band * lanes.distance + geometry.vector(rows, columns)[entry]) * lanes.width
        vectors = (band + away) * lanes.distance + geometry.vector(row, column)[entry]
        source = vectors * lanes.width + shift[entry] - away * lanes.parts
        position = geometry.numbers[band + away, row[entry], column[entry]]
        pairs = np.stack([target, source], axis=1)
        copies = HaloCopies(pairs, kept[number, band, entry], position, band, away != 0)
        return copies.chosen(np.argsort(position, kind="stable"))

    @cached_property
    def within(self) -> HaloCopies:
        """Copies inside of bands."""
        return self.copies.chosen(~self.copies.crossing)

    @cached_property
    def crossing(self) -> HaloCopies:
        """Copies from the posts of other bands."""
        copies, posts = self.copies.chosen(self.copies.crossing), self.posts
        post, source = posts.pairs[np.searchsorted(posts.position, copies.position)].T
        return replace(copies, pairs=copies.pairs + np.stack([0 * post, post - source], axis=1))

    @cached_property
    def posts(self) -> Posts:
        """What other bands read: of each position the lanes from the first to the last that is read.

        A power of two of them, so that no post lies in two cache lines.
        """
        geometry, width = self.geometry, self.geometry.lanes.width
        copies = self.copies.chosen(self.copies.crossing)
        position, number = np.unique(copies.position, return_inverse=True)
        row, column, band = (
            a[position] for a in (geometry.positions.row, geometry.positions.column, geometry.positions.band)
        )
        begins = copies.pairs[:, 1] + copies.lanes.argmax(axis=1)
        ends = copies.pairs[:, 1] + width - copies.lanes[:, ::-1].argmax(axis=1)
        vectors = (band * geometry.lanes.distance + geometry.vector(row, column)) * width
        first, last = vectors + width, vectors.copy()
        np.minimum.at(first, number, begins)
        np.maximum.at(last, number, ends)
        count = int((last - first).max(initial=1))
        size = 1 << (count - 1).bit_length()
        place = np.arange(len(position)) - np.searchsorted(band, band)
        target = band * geometry.lanes.distance * width + place * size
        lanes = np.arange(width) < (last - first)[:, None]
        plane = size * (int(place.max(initial=-1)) + 1)
        return Posts(np.stack([target, first], axis=1), lanes, position, plane)


@lru_cache(KEPT)
def neighbours(geometry: Geometry) -> Neighbours:
    """The neighbours of a geometry, found once for all values that have it."""
    return Neighbours(geometry)
