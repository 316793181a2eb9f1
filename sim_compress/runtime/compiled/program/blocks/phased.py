"""Tied rows in phases of columns, one row after the other at a tile of vectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine, weight_shape
from sim_compress.runtime.compiled.code.operations import PhasedSum
from sim_compress.runtime.compiled.code.phased_code import TILE
from sim_compress.runtime.compiled.layout.lanes import Geometry
from sim_compress.runtime.compiled.layout.places import Tiled
from sim_compress.runtime.compiled.layout.tiles import inside_lanes, positions_read, tiles_of
from sim_compress.runtime.compiled.program.blocks.channels import channels
from sim_compress.runtime.compiled.program.blocks.phis import Parameters
from sim_compress.runtime.compiled.program.blocks.reads import read_term
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.streams import PhasedStream, phased_stream

# Bytes of the tiles of a phase's columns: most of the first cache of processors of today, 96 columns of 64
# tokens. The encoder "minilm" of tools/bench/runtime.py at 80 %, milliseconds on an EPYC (Zen 4):
#     KB       12     16     24     32     48    all at once
#     AVX2     6.84   6.58   6.48   6.61   6.77   9.97
#     AVX-512  6.27   5.84   5.56   5.54   5.71   7.88
PHASE = 24 * 1024
# Nonzeros of a row in a phase, on average: its sums are read and written once in each. At 90 % anything from
# 1 to 20 takes the same time within 4 %, 30 takes 5 % more; rows of a depthwise convolution have 9 in all.
FEWEST = 12
# Rows of one item where threads share them: fewer would read the columns too often.
SHARE = 96

# What a source and its reader have in common: the geometry that is read, and the strides.
Kind = tuple[Geometry, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class _Features:
    """A term's columns: places of their first position, and how positions follow."""

    weight: sparse.csr_array
    places: NDArray[np.int64]
    kind: Kind
    bias: NDArray[np.float64] | None = None


def lower_phased(
    context: Context, name: str, affine: Affine, target: Tiled, phi: Parameters, *, tokens: bool
) -> None:
    """z of a block, phi included.

    Args:
        tokens: whether no row reads beside its own position; then nothing around an image must be zero, and
            a tile is cut alike for any number of threads.
    """
    geometry, width, assembly = target.geometry, context.lanes.width, context.assembly
    found = _features(context, affine, target, tokens)
    tiles = tiles_of(geometry, TILE)
    cached = max(1, PHASE // (4 * width * int(tiles[:, 1].max())))
    kinds = list(dict.fromkeys(f.kind for f in found))
    parted = [[f for f in found if f.kind == kind] for kind in kinds]
    streams = [phased_stream(weight, _columns(weight, cached)) for weight in map(_side_by_side, parted)]
    places = [np.concatenate([f.places for f in part]) for part in parted]
    rows = target.form.channels
    share = rows if context.threads == 1 else min(rows, SHARE)
    counts = np.concatenate([stream.counts for stream in streams])
    before = (np.cumsum(counts.ravel()) - counts.ravel()).reshape(counts.shape)
    values = np.concatenate([stream.values for stream in streams])
    bias = _bias(affine, rows, found)
    # Another batch size may have other phases, and read or fold its terms in another way.
    key = (name, len(counts), hash(values.tobytes()), hash(bias.tobytes()))
    assembly.add(
        PhasedSum(
            len(tiles) * -(-rows // share),
            assembly.integers(tiles, ("phased tiles", geometry)),
            -(-rows // share),
            rows,
            share,
            len(counts),
            assembly.integers(before[:, np.arange(0, rows, share)].T),
            assembly.integers(counts),
            assembly.integers(np.concatenate([p[s.columns] for p, s in zip(places, streams, strict=True)])),
            assembly.constants.add((*key, "values"), values),
            assembly.integers(_tables(context, kinds, geometry, streams)),
            assembly.integers((positions_read(geometry, geometry, (1, 1)) + geometry.first) * width),
            target.base * width,
            geometry.plane * width,
            -1 if tokens else assembly.masks(inside_lanes(geometry), ("inside", geometry)),
            tokens and _close(geometry, tiles),
            assembly.constants.add((*key, "bias"), bias),
            assembly.constants.add(phi, np.array(phi)),
        )
    )


def _features(context: Context, affine: Affine, target: Tiled, tokens: bool) -> list[_Features]:
    """All terms, read in place or from copies."""
    found = []
    for term in affine.terms:
        own = channels(context, term, target.form, target.geometry) if tokens else None
        if own is not None:
            found.append(_Features(own.weight, own.places, (target.geometry, (1, 1)), own.bias))
        else:
            read = read_term(context, term, target)
            found.append(_Features(read.weight, read.offsets * context.lanes.width, read.kind))
    return found


def _columns(weight: sparse.csr_array, cached: int) -> int:
    """Columns of a phase: those that the cache holds, more where a row would have few nonzeros among them."""
    height, width = weight_shape(weight)
    return max(cached, -(-FEWEST * height * width // max(1, weight.nnz)))


def _side_by_side(part: list[_Features]) -> sparse.csr_array:
    return sparse.csr_array(sparse.hstack([features.weight for features in part]))


def _tables(
    context: Context, kinds: list[Kind], geometry: Geometry, streams: list[PhasedStream]
) -> NDArray[np.int64]:
    """For each phase the place of the table that its columns are read by."""
    tables = []
    for kind in kinds:
        floats = positions_read(kind[0], geometry, kind[1]) * context.lanes.width
        tables.append(context.assembly.integers(floats, ("floats read", geometry, kind)))
    return np.repeat(tables, [len(stream.counts) for stream in streams])


def _close(geometry: Geometry, tiles: NDArray[np.int64]) -> bool:
    """Whether the vectors of every tile lie side by side."""
    places = positions_read(geometry, geometry, (1, 1))
    return all((np.diff(places[first : first + size]) == 1).all() for first, size in tiles)


def _bias(affine: Affine, rows: int, found: list[_Features]) -> NDArray[np.float64]:
    """The bias of each row, with what the constants of chains add to it."""
    bias = np.zeros(rows) if affine.bias is None else affine.bias.astype(np.float64)
    return bias + sum((f.bias for f in found if f.bias is not None), np.zeros(rows))
