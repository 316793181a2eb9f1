"""Products of two states entry by entry, read in place: gates, squeeze-and-excite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import Scale, Shape, StateBlock
from sim_compress.runtime.compiled.code.operations import CHUNK, Product
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Place
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.copies import NOTHING, has_operations, selected


@dataclass(frozen=True, eq=False)
class Factor:
    """Place of every entry of one part, the distance between samples, and what it is multiplied with."""

    places: NDArray[np.int64]
    step: int
    factor: float = 1.0


def lower_product(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of z1 z2; None where a factor is more than entries of one value."""
    found = factors(context, block)
    if found is None or any(own.factor != 1 for own in found):
        return None
    left, right = found
    target = context.place(form)
    places, element = target.destinations
    shape = np.broadcast_shapes(left.places.shape, right.places.shape)
    sources = [np.broadcast_to(f.places, shape).ravel()[element] for f in found]
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


def factors(context: Context, block: StateBlock) -> tuple[Factor, Factor] | None:
    """The two parts of a phi; None where one is more than entries of one value, all times one number."""
    affine, parts = block.affine, block.phi.attributes["parts"]
    places, steps = np.full(affine.shape, NOTHING), np.zeros(affine.shape, int)
    scales = np.ones(affine.shape)
    if affine.bias is not None or affine.weighted:
        return None
    for term in affine.terms:
        if not has_operations(term.maps, context.values[term.source]):
            return None
        source = context.inside(term.source)
        numbers = [m for m in term.maps if isinstance(m, Scale) and m.factor.size == 1]
        chosen = selected([m for m in term.maps if m not in numbers], source)
        if chosen is None or (places[chosen != NOTHING] != NOTHING).any():
            return None
        places[chosen != NOTHING] = chosen[chosen != NOTHING]
        steps[chosen != NOTHING] = source.step
        scales[chosen != NOTHING] = np.prod([float(m.factor.item()) for m in numbers])
    size = int(np.prod(parts[0]))
    if (places == NOTHING).any():
        return None
    left = _factor(places[:size], steps[:size], scales[:size], parts[0])
    right = _factor(places[size:], steps[size:], scales[size:], parts[1])
    return None if left is None or right is None else (left, right)


def _factor(
    places: NDArray[np.int64], steps: NDArray[np.int64], scales: NDArray[np.float64], part: Shape
) -> Factor | None:
    alike = (steps == steps[0]).all() and (scales == scales[0]).all()
    return Factor(places.reshape(part), int(steps[0]), float(scales[0])) if alike else None
