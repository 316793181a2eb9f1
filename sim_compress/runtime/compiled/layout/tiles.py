"""Tiles: vectors side by side in every channel of a geometry."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.layout.lanes import Geometry


def runs(geometry: Geometry, largest: int) -> NDArray[np.int64]:
    """(first vector of a channel, number) of tiles of at most so many vectors, band after band.

    Rows of a patch that has a halo are apart; what lies side by side is cut into nearly equal tiles.
    """
    positions, groups = geometry.positions, geometry.lanes.groups
    vectors = geometry.vector(positions.row, positions.column) + positions.band * geometry.lanes.distance
    every = (vectors[:, None] + np.arange(groups)).ravel()
    begins = np.flatnonzero(np.diff(every, prepend=-2) != 1)
    tiles = []
    for begin, end in zip(begins, [*begins[1:], len(every)], strict=True):
        size = end - begin
        count = -(-size // largest)
        edges = np.arange(count + 1) * size // count
        tiles += zip(every[begin] + edges[:-1], np.diff(edges), strict=True)
    return np.array(tiles)


def positions_read(source: Geometry, target: Geometry, strides: tuple[int, int]) -> NDArray[np.int64]:
    """For every vector of the target the vector to read, counted from the first."""
    positions, (down, right) = target.positions, strides
    groups = target.lanes.groups
    vectors = (positions.row * down * source.pitch + positions.column * right) * groups
    vectors += positions.band * source.lanes.distance
    return (vectors[:, None] + np.arange(groups)).ravel()


def inside_lanes(geometry: Geometry) -> NDArray[np.bool_]:
    """The lanes that hold a pixel, for every vector of a channel."""
    positions, (rows, columns) = geometry.positions, np.indices(geometry.patch).reshape(2, -1)
    place = positions.row * geometry.patch[1] + positions.column
    inside = geometry.inside(rows, columns)[positions.band, place]
    return np.repeat(inside, geometry.lanes.groups, axis=0)


def tiles_of(geometry: Geometry, largest: int) -> NDArray[np.int64]:
    """(first position, number) of tiles of nearly the same size, each in one band."""
    vectors = np.bincount(geometry.positions.band) * geometry.lanes.groups
    bands = zip(np.cumsum(vectors) - vectors, vectors, -(-vectors // largest), strict=True)
    edges = [first + np.arange(count) * size // count for first, size, count in bands if count]
    firsts = np.concatenate(edges)
    return np.stack([firsts, np.diff([*firsts, vectors.sum()])], axis=1)
