"""Products of two states entry by entry, read in place: gates, squeeze-and-excite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import Shape, StateBlock
from sim_compress.runtime.compiled.code.operations import CHUNK, Product
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Place
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.copies import NOTHING, has_operations, selected


@dataclass(frozen=True, eq=False)
class _Factor:
    """Place of every entry of one part, and the distance between samples."""

    places: NDArray[np.int64]
    step: int


def lower_product(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of z1 z2; None where a factor is more than entries of one value."""
    factors = _factors(context, block)
    if factors is None:
        return None
    left, right = factors
    target = context.place(form)
    places, element = target.destinations
    shape = np.broadcast_shapes(left.places.shape, right.places.shape)
    sources = [np.broadcast_to(f.places, shape).ravel()[element] for f in factors]
    assembly = context.assembly
    assembly.add(
        Product(
            -(-len(places) // CHUNK),
            assembly.integers(places),
            assembly.integers(sources[0]),
            assembly.integers(sources[1]),
            len(places),
            target.step,
            left.step,
            right.step,
            context.lanes.samples,
        )
    )
    return target


def _factors(context: Context, block: StateBlock) -> tuple[_Factor, _Factor] | None:
    affine, parts = block.affine, block.phi.attributes["parts"]
    places, steps = np.full(affine.shape, NOTHING), np.zeros(affine.shape, int)
    if affine.bias is not None or affine.weighted:
        return None
    for term in affine.terms:
        if not has_operations(term.maps, context.values[term.source]):
            return None
        source = context.inside(term.source)
        chosen = selected(term.maps, source)
        if chosen is None or (places[chosen != NOTHING] != NOTHING).any():
            return None
        places[chosen != NOTHING] = chosen[chosen != NOTHING]
        steps[chosen != NOTHING] = source.step
    size = int(np.prod(parts[0]))
    halves = (places[:size], steps[:size], parts[0]), (places[size:], steps[size:], parts[1])
    if (places == NOTHING).any() or any(len(np.unique(own)) > 1 for _, own, _ in halves):
        return None
    return _factor(*halves[0]), _factor(*halves[1])


def _factor(places: NDArray[np.int64], steps: NDArray[np.int64], part: Shape) -> _Factor:
    return _Factor(places.reshape(part), int(steps[0]))
