"""Products of two states entry by entry, read in place: gates, squeeze-and-excite."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import Scale, Shape, StateBlock
from sim_compress.runtime.compiled.code.gating_code import NUMBER, SHARE, VALUE, VECTOR
from sim_compress.runtime.compiled.code.operations import CHUNK, Gated, Product
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.lanes import Geometry, Lanes
from sim_compress.runtime.compiled.layout.places import Place, Tiled
from sim_compress.runtime.compiled.layout.tiles import runs
from sim_compress.runtime.compiled.program.blocks.copies import NOTHING, has_operations, selected
from sim_compress.runtime.compiled.program.blocks.halos import fill_halo
from sim_compress.runtime.compiled.program.context import Context


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
    if (gated := _gated(context, form, left, right) or _gated(context, form, right, left)) is not None:
        return gated
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


def _gated(context: Context, form: Form, left: Factor, right: Factor) -> Place | None:
    """The place of a product by vectors; None where its parts do not lie in the same lanes."""
    geometry, lanes = context.borders.geometries.get(form.size), context.lanes
    if geometry is None or context.is_flat(form) or left.places.shape != form.shape:
        return None
    values = _channels_of(left, form, geometry)
    try:
        spread = np.broadcast_to(right.places, form.shape)
    except ValueError:
        return None
    positions = form.canonical(spread).reshape(form.channels, -1)
    if (factor := _channels_of(Factor(spread, right.step), form, geometry)) is not None:
        kind = VALUE
    elif (positions == positions[:, :1]).all() and (lanes.samples == 1 or _apart(lanes, right)):
        # One entry of a sample for all positions of a channel.
        kind, factor = (NUMBER if lanes.samples == 1 else VECTOR), positions[:, 0]
    else:
        return None
    if values is None:
        return None
    target = context.place(form)
    assert isinstance(target, Tiled), "what has positions lies in vectors"
    tiles, assembly = runs(geometry, geometry.plane), context.assembly
    assembly.add(
        Gated(
            -(-form.channels // SHARE),
            kind,
            form.channels,
            assembly.integers(tiles),
            len(tiles),
            assembly.integers(values),
            assembly.integers(factor),
            assembly.integers(target.channels),
        )
    )
    if any(geometry.halo):
        fill_halo(context, target)
    return target


def _apart(lanes: Lanes, factor: Factor) -> bool:
    """Whether every lane is a sample."""
    return lanes.parts == 1 and lanes.groups == 1 and factor.step == 1


def _channels_of(factor: Factor, form: Form, geometry: Geometry) -> NDArray[np.int64] | None:
    """First float of every channel of a part that lies as a geometry has it."""
    places = form.canonical(factor.places).reshape(form.channels, -1)
    inside = geometry.elements.reshape(-1)
    firsts = places[:, 0] - inside[0]
    in_lanes = factor.step == geometry.lanes.parts and np.array_equal(places, firsts[:, None] + inside)
    aligned = (firsts % geometry.lanes.width == 0).all()
    return firsts if in_lanes and aligned else None


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
