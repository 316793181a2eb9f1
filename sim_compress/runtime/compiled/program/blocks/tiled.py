"""Tied rows: a block of rows at a tile of positions, sums of shifted vectors."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine
from sim_compress.runtime.compiled.code.operations import TiedSum
from sim_compress.runtime.compiled.code.rounds import ROWS
from sim_compress.runtime.compiled.layout.lanes import Geometry
from sim_compress.runtime.compiled.layout.neighbours import neighbours
from sim_compress.runtime.compiled.layout.places import Tiled
from sim_compress.runtime.compiled.layout.tiles import inside_lanes, positions_read, tiles_of
from sim_compress.runtime.compiled.program.blocks.halos import (
    NO_COPIES,
    fill_from_posts,
    halo_tables,
    post_tables,
)
from sim_compress.runtime.compiled.program.blocks.phis import Parameters
from sim_compress.runtime.compiled.program.blocks.reads import Read, read_term
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.streams import Stream, tied_stream

# Enough items that threads which start late or are held up still share the work.
ITEMS = 8
# Bytes of weights that stay in cache while all tiles pass over them.
CACHED_WEIGHTS = 2**18


def lower_tiled(
    context: Context, name: str, affine: Affine, target: Tiled, phi: Parameters, *, halo: bool
) -> None:
    """z of a block, phi included, and the halo where it is asked for."""
    reads = [read_term(context, term, target) for term in affine.terms]
    # Terms that are read at the same positions are one segment.
    kinds = list(dict.fromkeys(r.kind for r in reads))
    segments = [[r for r in reads if r.kind == kind] for kind in kinds]
    stream = tied_stream([sparse.csr_array(sparse.hstack([r.weight for r in s])) for s in segments])
    assembly, geometry = context.assembly, target.geometry
    tiles = tiles_of(geometry, context.tile)
    item_blocks = _item_blocks(len(tiles), stream)
    parts = -(-len(stream.starts) // item_blocks)
    posts = context.posts(geometry, len(stream.starts) * ROWS)
    assembly.add(
        TiedSum(
            len(tiles) * parts,
            assembly.integers(tiles, ("tiles", geometry)),
            parts,
            len(stream.starts),
            item_blocks,
            _starts(context, name, reads, segments, stream),
            assembly.integers(stream.counts),
            len(segments),
            assembly.integers(np.array([_positions(context, g, geometry, strides) for g, strides in kinds])),
            target.base + geometry.first,
            _positions(context, geometry, geometry, (1, 1)),
            geometry.plane,
            assembly.masks(inside_lanes(geometry), ("inside", geometry)),
            assembly.constants.add((name, "bias"), _bias(affine, len(stream.starts) * ROWS)),
            assembly.constants.add(phi, np.array(phi)),
            *(halo_tables(context, geometry, tiles) if halo else NO_COPIES),
            target.base,
            *(post_tables(context, geometry, tiles) if halo else NO_COPIES),
            posts,
            neighbours(geometry).posts.plane,
            _even_bands(geometry, tiles),
        )
    )
    if halo:
        fill_from_posts(context, target, posts)


def _starts(
    context: Context, name: str, reads: list[Read], segments: list[list[Read]], stream: Stream
) -> int:
    """Place of the first offset and value of each block; adds offsets and values."""
    order = [r for segment in segments for r in segment]
    numbers = {id(read): number for number, read in enumerate(reads)}
    offsets = np.concatenate([r.offsets for r in order])[stream.columns]
    # Another batch size may group the terms in another way.
    key = (name, tuple(numbers[id(read)] for read in order), tuple(map(len, segments)), stream.values.size)
    assembly = context.assembly
    place = assembly.integers(offsets), assembly.constants.add(key, stream.values)
    return assembly.integers(stream.starts + place)


def _bias(affine: Affine, rows: int) -> NDArray[np.float32]:
    """The bias of each row; rows that fill up the last block have none."""
    bias = np.zeros(rows, np.float32)
    if affine.bias is not None:
        bias[: affine.rows] = affine.bias
    return bias


def _positions(context: Context, source: Geometry, target: Geometry, strides: tuple[int, int]) -> int:
    """Place of the table: for every vector of the target the vector to read, counted from the first."""
    vectors = positions_read(source, target, strides)
    return context.assembly.integers(vectors, ("positions", source, target, strides))


def _even_bands(geometry: Geometry, tiles: NDArray[np.int64]) -> int:
    """How many bands have the same number of tiles each; 0 where they differ."""
    groups = geometry.lanes.groups
    counts = np.bincount(geometry.positions.band[tiles[:, 0] // groups], minlength=geometry.lanes.bands)
    return len(counts) if len(set(counts.tolist())) == 1 else 0


def _item_blocks(tiles: int, stream: Stream) -> int:
    """Row blocks of one item."""
    blocks = len(stream.starts)
    size = max(1, (stream.values.nbytes + 4 * len(stream.columns)) // blocks)
    shared = -(-blocks // min(blocks, -(-ITEMS // tiles)))
    return max(1, min(shared, CACHED_WEIGHTS // size))
