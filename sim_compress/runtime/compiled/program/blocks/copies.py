"""Chains that do more than shift: their values are copied, or computed, into a place of their own."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import AlongAxis, LinearMap, Offset, Scale, Sum, apply_chain, chain_matrix, selects
from sim_compress.model.maps import SELECTIONS
from sim_compress.runtime.compiled.code.operations import CHUNK, Gather, Sums
from sim_compress.runtime.compiled.layout.places import Outside, Place
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.factors import composes
from sim_compress.runtime.compiled.program.steps import Reference

# The source of an element that is zero.
NOTHING = -1
# Maps whose chains become gathers or weighted sums.
OPERATED = (*SELECTIONS, Sum, Scale, Offset)
# Entries of an interpolating matrix for each of its rows.
INTERPOLATED = 8


def has_operations(maps: Sequence[LinearMap], source: Place | Outside) -> bool:
    """Whether operations can compute a chain; if not, the reference does."""
    exact = source.float32 if isinstance(source, Outside) else True
    return exact and all(map(_has_operation, maps)) and composes(maps)


def _has_operation(step: LinearMap) -> bool:
    if isinstance(step, AlongAxis):
        # A full matrix would become a long sum for every output entry and position.
        return step.matrix.nnz <= INTERPOLATED * len(step.matrix.indptr)
    return isinstance(step, OPERATED)


def selected(maps: Sequence[LinearMap], source: Place | Outside) -> NDArray[np.int64] | None:
    """Where each element of a chain comes from (NOTHING: zero); None where a map computes."""
    if not all(map(selects, maps)):
        return None
    # Zero padding must differ from the first place: number from one.
    return np.asarray(apply_chain(maps, source.elements[..., None] + 1)[..., 0] - 1)


def copy_chain(context: Context, maps: Sequence[LinearMap], name: str, target: Place) -> None:
    """Fill a place, halo included, with a chain's elements.

    Args:
        maps: a chain whose result has the shape of the target's form.
        name: the value that the chain reads.
        target: for an input a place that was kept, else one that may hold old numbers.
    """
    source = context.values[name]
    if not has_operations(maps, source):
        context.steps.add(Reference(partial(apply_chain, maps), (source,), target))
        return
    places, element = target.destinations
    sources = selected(maps, source)
    if sources is None:
        _linear(context, maps, context.inside(name), target, places, element)
        return
    wanted = sources.ravel()[element]
    kept = wanted != NOTHING
    if isinstance(source, Outside):
        context.load(name, places[kept], wanted[kept], target.step)
        return
    gather(context, places[kept], target.step, wanted[kept], source.step)
    if not kept.all():
        _clear(context, places[~kept], target.step)


def _items(places: NDArray[np.int64]) -> int:
    return -(-len(places) // CHUNK)


def gather(
    context: Context,
    places: NDArray[np.int64],
    step: int,
    sources: NDArray[np.int64],
    source_step: int,
    samples: int | None = None,
) -> None:
    """Copy elements of a sample from places to places; steps are those from one sample to the next."""
    assembly = context.assembly
    targets, places_read = assembly.integers(places), assembly.integers(sources)
    samples = context.lanes.samples if samples is None else samples
    assembly.add(Gather(_items(places), targets, places_read, len(places), step, source_step, samples))


def _clear(context: Context, places: NDArray[np.int64], step: int) -> None:
    nothing = np.zeros(0, np.int64)
    _sums(context, places, step, sparse.csr_array((len(places), 1)), nothing, 0, np.zeros(len(places)))


def clear(context: Context, floats: NDArray[np.int64]) -> None:
    """Set floats of the arena to zero, whatever sample they are of."""
    # The first vector of an arena is zero.
    gather(context, floats, 0, np.zeros_like(floats), 0, samples=1)


def _linear(
    context: Context,
    maps: Sequence[LinearMap],
    source: Place,
    target: Place,
    places: NDArray[np.int64],
    element: NDArray[np.int64],
) -> None:
    L, offset = chain_matrix(maps, source.form.shape)
    L = sparse.csr_array(L[element])
    _sums(context, places, target.step, L, source.elements.ravel()[L.indices], source.step, offset[element])


def _sums(
    context: Context,
    places: NDArray[np.int64],
    step: int,
    L: sparse.csr_array,
    sources: NDArray[np.int64],
    source_step: int,
    constants: NDArray[np.float64],
) -> None:
    assembly = context.assembly
    key = (context.lanes, assembly.length)
    first = L.data[np.minimum(L.indptr[:-1], L.nnz - 1)] if L.nnz else np.zeros(len(places))
    alike = np.array_equal(np.repeat(first, np.diff(L.indptr)), L.data)
    # About as many products as other items have elements.
    share = max(1, CHUNK * len(places) // max(1, len(places), L.nnz))
    assembly.add(
        Sums(
            -(-len(places) // share),
            assembly.integers(places),
            assembly.integers(L.indptr),
            assembly.integers(sources),
            assembly.constants.add((*key, "weights"), first if alike else L.data),
            alike,
            assembly.constants.add((*key, "constants"), constants),
            len(places),
            share,
            step,
            source_step,
            context.lanes.samples,
        )
    )
