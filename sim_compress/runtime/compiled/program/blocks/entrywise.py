"""Phi of several values entry by entry: masks of attention, comparisons, choices."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import Offset, StateBlock, Term, apply_chain, selects
from sim_compress.runtime.compiled.code.entrywise_code import KINDS
from sim_compress.runtime.compiled.code.operations import CHUNK, Entrywise
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Fixed, Outside, Place
from sim_compress.runtime.compiled.program.blocks.copies import NOTHING, gather, selected
from sim_compress.runtime.compiled.program.context import Context

# Phi of one whole number that float32 rounds to nothing else.
TRUTHS = ("nonzero", "not")


@dataclass(frozen=True, eq=False)
class _Part:
    """Place of every entry of the state's shape in one part, and the distance between samples."""

    places: NDArray[np.int64]
    step: int


def lower_entrywise(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of a phi of several values; None where a part is more than entries of one value."""
    affine, shapes = block.affine, block.phi.attributes.get("parts", ())
    if block.phi.name not in KINDS or not 2 <= len(shapes) <= 3 or affine.weighted or affine.bias is not None:
        return None
    found = _entries(context, affine.terms, int(np.prod(affine.shape)))
    if found is None:
        return None
    places, steps, constants = found
    parts, begin = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        own = slice(begin, begin + size)
        part = _part(context, places[own], steps[own], constants[own])
        if part is None:
            return None
        spread = np.broadcast_to(part.places.reshape(shape), block.shape)
        parts.append(_Part(spread, part.step))
        begin += size
    target = context.place(form)
    written, element = target.destinations
    # A phi of two parts reads the second one twice.
    parts = [*parts, parts[-1]][:3]
    assembly = context.assembly
    tables = [assembly.integers(part.places.ravel()[element]) for part in parts]
    assembly.add(
        Entrywise(
            -(-len(written) // CHUNK),
            KINDS.index(block.phi.name),
            len(written),
            context.lanes.samples,
            assembly.integers(written),
            target.step,
            *(number for pair in zip(tables, (part.step for part in parts), strict=True) for number in pair),
        )
    )
    return target


def lower_truth(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of the entries of an input of whole numbers, where only their being 0 matters."""
    affine = block.affine
    if block.phi.name not in TRUTHS or affine.weighted or affine.bias is not None or len(affine.terms) != 1:
        return None
    (term,) = affine.terms
    source = context.values[term.source]
    if not isinstance(source, Outside) or source.float32 or not all(map(selects, term.maps)):
        return None
    numbers = selected(term.maps, source)
    if numbers is None or NOTHING in numbers:
        return None
    loaded, target = context.ids(term.source), context.place(form)
    written, element = target.destinations
    gather(context, written, target.step, loaded.base + np.ravel(numbers)[element], loaded.step)
    return target


def _entries(
    context: Context, terms: tuple[Term, ...], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]] | None:
    """Place, step and constant of every entry of a flat z; -1 where it is the constant alone."""
    places, steps, constants = np.full(size, NOTHING), np.zeros(size, int), np.zeros(size)
    for term in terms:
        steps_of = [step for step in term.maps if not isinstance(step, Offset)]
        value = context.values[term.source]
        if not all(map(selects, steps_of)) or (isinstance(value, Outside) and not value.float32):
            return None
        source = context.inside(term.source)
        chosen = np.ravel(np.asarray(selected(steps_of, source)))
        own = np.flatnonzero(chosen != NOTHING)
        if (places[own] != NOTHING).any():
            return None
        places[own], steps[own] = chosen[own], source.step
        constants += np.ravel(apply_chain(term.maps, np.zeros((*source.form.shape, 1)))[..., 0])
    return places, steps, constants


def _part(
    context: Context, places: NDArray[np.int64], steps: NDArray[np.int64], constants: NDArray[np.float64]
) -> _Part | None:
    """A part that is entries of one value, or constants, which then lie in the arena."""
    if (places != NOTHING).all() and not constants.any() and (steps == steps[0]).all():
        return _Part(places, int(steps[0]))
    if (places != NOTHING).any():
        return None
    lanes = context.lanes
    base = context.regions.keep(-(-len(constants) // lanes.width)) * lanes.width
    own = base + np.arange(len(constants))
    context.fixed.append(Fixed(own[:, None], constants.astype(np.float32)))
    return _Part(own, 0)
