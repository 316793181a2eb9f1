"""Halos: with the tile that they are copied from, or in an operation of their own."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.context import Context
from sim_compress.runtime.compiled.lanes import Geometry
from sim_compress.runtime.compiled.operations import Halo
from sim_compress.runtime.compiled.places import Place, Tiled

# Items of a halo: some channels each.
ITEMS = 8
# No entries with any tile.
NO_HALO = (-1, 0, 0)


def halo_tables(context: Context, geometry: Geometry, tiles: NDArray[np.int64]) -> tuple[int, int, int]:
    """Places of the first entry of every tile, the entries and their masks."""
    pairs, lanes, positions = geometry.halo_copies()
    if not len(pairs):
        return NO_HALO
    assembly = context.assembly
    return (
        assembly.integers(np.searchsorted(positions, [*tiles[:, 0], tiles[-1].sum()]), ("edges", geometry)),
        assembly.integers(pairs, ("halo", geometry)),
        assembly.masks(lanes, ("halo", geometry)),
    )


def fill_halo(context: Context, place: Place) -> None:
    """Fill the borders of patches."""
    if not isinstance(place, Tiled):
        return
    pairs, lanes, _ = place.geometry.halo_copies()
    if not len(pairs):
        return
    assembly, width = context.assembly, context.lanes.width
    channels = place.form.channels
    share = -(-channels // ITEMS)
    assembly.add(
        Halo(
            -(-channels // share),
            place.base * width,
            place.geometry.plane * width,
            channels,
            share,
            len(pairs),
            assembly.integers(pairs, ("halo", place.geometry)),
            assembly.masks(lanes, ("halo", place.geometry)),
        )
    )
