"""Halos: with the tile that they are copied from, or in an operation of their own."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.code.operations import Halo
from sim_compress.runtime.compiled.layout.lanes import Geometry
from sim_compress.runtime.compiled.layout.neighbours import HaloCopies, neighbours
from sim_compress.runtime.compiled.layout.places import Place, Tiled
from sim_compress.runtime.compiled.program.context import Context

# Items of a halo: some channels of a band each.
ITEMS = 8
# No entries with any tile.
NO_COPIES = (-1, 0, 0)


def halo_tables(context: Context, geometry: Geometry, tiles: NDArray[np.int64]) -> tuple[int, int, int]:
    """Places of the first entry of every tile, the entries and their masks, as far as a band has them."""
    copies = neighbours(geometry).within
    return _with_tiles(context, ("halo", geometry), tiles, copies.position, copies.pairs, copies.lanes)


def post_tables(context: Context, geometry: Geometry, tiles: NDArray[np.int64]) -> tuple[int, int, int]:
    """The same for what other bands read."""
    posts = neighbours(geometry).posts
    return _with_tiles(context, ("posts", geometry), tiles, posts.position, posts.pairs, posts.lanes)


def _with_tiles(
    context: Context,
    key: tuple[str, Geometry],
    tiles: NDArray[np.int64],
    position: NDArray[np.int64],
    pairs: NDArray[np.int64],
    lanes: NDArray[np.bool_],
) -> tuple[int, int, int]:
    if not len(pairs):
        return NO_COPIES
    assembly = context.assembly
    edges = np.searchsorted(position, [*tiles[:, 0], tiles[-1].sum()])
    return (
        assembly.integers(edges, ("edges", *key)),
        assembly.integers(_moves(pairs, lanes), key),
        assembly.masks(lanes, key),
    )


def _moves(pairs: NDArray[np.int64], lanes: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(target, source, shift) of copies: where what is read of a source begins with its vector."""
    target, source = pairs.T
    vector = (source + lanes.argmax(axis=1)) // lanes.shape[1] * lanes.shape[1]
    return np.stack([target, vector, source - vector], axis=1)


def fill_halo(context: Context, place: Place) -> None:
    """Fill the borders of patches."""
    if isinstance(place, Tiled):
        geometry = place.geometry
        plane = geometry.plane * context.lanes.width
        _add(context, place, place.base, plane, neighbours(geometry).copies, "all of halo")


def fill_from_posts(context: Context, place: Tiled, posts: int) -> None:
    """Fill the borders of patches from what other bands have posted, beginning at a vector."""
    around = neighbours(place.geometry)
    _add(context, place, posts, around.posts.plane, around.crossing, "halo from posts")


def _add(context: Context, place: Tiled, source: int, plane: int, copies: HaloCopies, kind: str) -> None:
    """Append the operation, band after band."""
    if not len(copies.pairs):
        return
    assembly, geometry = context.assembly, place.geometry
    bands = geometry.lanes.bands
    copies = copies.chosen(np.argsort(copies.band, kind="stable"))
    channels = place.form.channels
    share = -(-channels // max(1, ITEMS // bands))
    parts = -(-channels // share)
    assembly.add(
        Halo(
            bands * parts,
            place.base,
            geometry.plane * context.lanes.width,
            source,
            plane,
            channels,
            share,
            parts,
            assembly.integers(np.searchsorted(copies.band, np.arange(bands + 1)), ("bands", kind, geometry)),
            assembly.integers(_moves(copies.pairs, copies.lanes), (kind, geometry)),
            assembly.masks(copies.lanes, (kind, geometry)),
        )
    )
