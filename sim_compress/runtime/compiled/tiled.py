"""Tied rows: a block of rows at a tile of positions, sums of shifted vectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine, Patches, Term, chain_shape
from sim_compress.runtime.compiled.borders import fits, halo_of
from sim_compress.runtime.compiled.context import Context, Parameters
from sim_compress.runtime.compiled.copies import copy_chain
from sim_compress.runtime.compiled.lanes import Geometry
from sim_compress.runtime.compiled.operations import TiedSum
from sim_compress.runtime.compiled.places import Tiled
from sim_compress.runtime.compiled.rounds import ROWS
from sim_compress.runtime.compiled.streams import Stream, tied_stream, weight_of
from sim_compress.runtime.compiled.windows import Form, Windows, trace

# Enough items that threads which start late or are held up still share the work.
ITEMS = 16
NO_HALO = (-1, 0, 0)
# Bytes of weights that stay in cache while all tiles pass over them.
CACHED_WEIGHTS = 2**18


@dataclass(frozen=True, eq=False)
class _Read:
    """One term's features: a tiled source, its windows, and the weight that meets them."""

    source: Tiled
    windows: Windows
    weight: sparse.csr_array

    @property
    def kind(self) -> tuple[Geometry, tuple[int, int]]:
        """Terms with the same positions to read share a segment."""
        return self.source.geometry, self.windows.strides

    @property
    def offsets(self) -> NDArray[np.int64]:
        """First vector of each feature."""
        geometry, windows = self.source.geometry, self.windows
        shift = geometry.vector(windows.row, windows.column)
        return self.source.base + windows.channel * geometry.plane + shift


def lower_tiled(
    context: Context, name: str, affine: Affine, target: Tiled, phi: Parameters, *, halo: bool
) -> None:
    """z of a block, phi included, and the halo where it is asked for."""
    reads = [_read(context, affine, term, target) for term in affine.terms]
    kinds = list(dict.fromkeys(r.kind for r in reads))
    segments = [[r for r in reads if r.kind == kind] for kind in kinds]
    order = [affine.terms[reads.index(r)] for segment in segments for r in segment]
    stream = tied_stream([sparse.csr_array(sparse.hstack([r.weight for r in s])) for s in segments])
    offsets = np.concatenate([r.offsets for segment in segments for r in segment])[stream.columns]
    assembly, geometry = context.assembly, target.geometry
    # Another batch size may group the terms in another way.
    key = (name, tuple(affine.terms.index(t) for t in order), tuple(map(len, segments)), stream.values.size)
    place = assembly.integers(offsets), assembly.constants.add((*key, "values"), stream.values)
    positions = geometry.patch[0] * geometry.patch[1] * context.lanes.groups
    tiles = _tiles(positions, context.tile)
    blocks = len(stream.starts)
    item_blocks = _item_blocks(len(tiles), stream)
    bias = np.zeros(blocks * ROWS, np.float32)
    if affine.bias is not None:
        bias[: affine.rows] = affine.bias
    assembly.add(
        TiedSum(
            len(tiles) * -(-blocks // item_blocks),
            assembly.integers(tiles, ("tiles", positions)),
            len(tiles),
            blocks,
            item_blocks,
            assembly.integers(stream.starts + place),
            assembly.integers(stream.counts),
            len(segments),
            assembly.integers(np.array([_positions(context, g, geometry, strides) for g, strides in kinds])),
            target.base + geometry.first,
            _positions(context, geometry, geometry, (1, 1)),
            geometry.plane,
            _masks(context, geometry),
            assembly.constants.add((name, "bias"), bias),
            assembly.constants.add(phi, np.array(phi)),
            *(halo_tables(context, geometry, tiles) if halo else NO_HALO),
            target.base,
        )
    )


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


def _positions(context: Context, source: Geometry, target: Geometry, strides: tuple[int, int]) -> int:
    """Place of the table: for every vector of the target the vector to read, counted from the first."""
    rows, columns = target.positions
    vectors = (rows * strides[0] * source.pitch + columns * strides[1]) * context.lanes.groups
    expanded = vectors[:, None] + np.arange(context.lanes.groups)
    return context.assembly.integers(expanded, ("positions", source, target, strides))


def _masks(context: Context, geometry: Geometry) -> int:
    lanes = np.repeat(geometry.inside(*geometry.positions), context.lanes.groups, axis=0)
    return context.assembly.masks(lanes, ("inside", geometry))


def _tiles(positions: int, largest: int) -> NDArray[np.int64]:
    """(first, size) of tiles of nearly the same size."""
    count = -(-positions // largest)
    edges = np.arange(count + 1) * positions // count
    return np.stack([edges[:-1], np.diff(edges)], axis=1)


def _item_blocks(tiles: int, stream: Stream) -> int:
    """Row blocks of one item."""
    blocks = len(stream.starts)
    size = max(1, (stream.values.nbytes + 4 * len(stream.columns)) // blocks)
    shared = -(-blocks // min(blocks, -(-ITEMS // tiles)))
    return max(1, min(shared, CACHED_WEIGHTS // size))


def _read(context: Context, affine: Affine, term: Term, target: Tiled) -> _Read:
    """Read a term in place where its chain only shifts and the lanes fit, else from a copy."""
    source, weight = context.values[term.source], weight_of(affine, term)
    if isinstance(source, Tiled):
        windows = trace(term.maps, source.form, target.form, term.weight is not None)
        if windows is not None and fits(windows, source.geometry, target.geometry):
            return _kept(source, windows, weight)
    return _copied(context, term, target, weight)


def _kept(source: Tiled, windows: Windows, weight: sparse.csr_array) -> _Read:
    """A read without the features that are zero."""
    there = np.flatnonzero(windows.channel >= 0)
    part = Windows(windows.channel[there], windows.row[there], windows.column[there], windows.strides)
    return _Read(source, part, sparse.csr_array(weight[:, there]))


def _copied(context: Context, term: Term, target: Tiled, weight: sparse.csr_array) -> _Read:
    """Copy what comes before the patches, or the whole chain."""
    source = context.values[term.source]
    maps, patches = term.maps, ()
    match maps:
        # A kernel of one pixel repeats nothing: only the pixels that it reads are copied.
        case (*before, Patches() as last) if len(last.kernel) <= 2 and max(last.kernel) > 1:
            maps, patches = tuple(before), (last,)
    form = Form(chain_shape(maps, source.form.shape))
    if term.weight is None:
        form, patches = target.form, ()
    windows = (trace(patches, form, target.form, weighted=True) if patches else None) or _whole(form)
    place = context.tiled_copy(source, form, _private(windows, form, target.geometry))
    copy_chain(context, maps, term.source, place)
    return _kept(place, windows, weight)


def _whole(form: Form) -> Windows:
    """Every channel where it is."""
    channel = np.arange(form.channels)
    return Windows(channel, 0 * channel, 0 * channel, (1, 1))


def _private(windows: Windows, form: Form, target: Geometry) -> Geometry:
    """The geometry in which a copy fits its target."""
    patch = [form.size[d] if target.grid[d] == 1 else windows.strides[d] * target.patch[d] for d in range(2)]
    halo = halo_of(windows, target.lanes, form.size, target.size)
    return Geometry(target.lanes, form.size, target.grid, (patch[0], patch[1]), halo)
