"""Rows of a table for the ids of an input, copied to where the tokens lie."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_compress.model import LinearMap, Lookup, StateBlock, selects
from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.code.lookup_code import SHARE
from sim_compress.runtime.compiled.code.operations import LookedUp
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Outside, Place
from sim_compress.runtime.compiled.program.blocks.copies import NOTHING, selected
from sim_compress.runtime.compiled.program.context import Context

# Ids that float32 holds.
LARGEST = 2**24


def lower_lookup(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of looked up rows; None where the block is more than that, or its table is sparse."""
    affine = block.affine
    if block.phi.name != "identity" or affine.bias is not None or len(affine.terms) != 1:
        return None
    (term,) = affine.terms
    source = context.values[term.source]
    table = _table(term.maps)
    if table is None or term.weight is not None or not isinstance(source, Outside):
        return None
    numbers = selected(term.maps[:-1], source)
    if numbers is None or NOTHING in numbers:
        return None
    height, width = table.shape
    target = context.place(form)
    elements = target.elements.reshape(-1, width)
    plane = int(elements[0, -1] - elements[0, 0]) // max(1, width - 1)
    if not np.array_equal(elements, elements[:, :1] + plane * np.arange(width)):
        # A row is spread over lanes.
        context.regions.give_back(context.first_vector(target))
        return None
    ids = context.ids(term.source)
    parts, samples = -(-len(elements) // SHARE), context.lanes.samples
    assembly = context.assembly
    assembly.add(
        LookedUp(
            parts * samples,
            table.ctypes.data,
            height,
            width,
            assembly.integers(ids.elements.ravel()[np.ravel(numbers)]),
            assembly.integers(elements[:, 0]),
            len(elements),
            plane,
            target.step,
            ids.step,
            samples,
        )
    )
    # The address is of the model's own array.
    context.tables.append(table)
    return target


def _table(maps: Sequence[LinearMap]) -> NDArray[np.float32] | None:
    """The dense table that a chain ends with after it has selected ids."""
    if not maps or not isinstance(maps[-1], Lookup) or not all(map(selects, maps[:-1])):
        return None
    table: Array = np.asarray(maps[-1].table)
    held = table.ndim == 2 and table.dtype == np.float32 and table.flags.c_contiguous
    return table if held and len(table) < LARGEST else None
