"""Rows of a table for the ids of an input, copied to where the tokens lie."""

import numpy as np

from sim_compress.model import Lookup, StateBlock, selects
from sim_compress.runtime.compiled.code.lookup_code import SHARE
from sim_compress.runtime.compiled.code.operations import LookedUp
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.places import Outside, Place
from sim_compress.runtime.compiled.program.context import Context
from sim_compress.runtime.compiled.program.copies import NOTHING, selected

# Ids that float32 holds.
LARGEST = 2**24


def lower_lookup(context: Context, block: StateBlock, form: Form) -> Place | None:
    """The place of looked up rows; None where the block is more than that, or its table is sparse."""
    affine = block.affine
    if block.phi.name != "identity" or affine.bias is not None or len(affine.terms) != 1:
        return None
    (term,) = affine.terms
    *before, last = term.maps
    source = context.values[term.source]
    plain = isinstance(last, Lookup) and isinstance(last.table, np.ndarray) and all(map(selects, before))
    if not plain or term.weight is not None or not isinstance(source, Outside):
        return None
    table = last.table
    numbers = selected(before, source)
    held = table.dtype == np.float32 and table.flags.c_contiguous and len(table) < LARGEST
    if not held or numbers is None or NOTHING in numbers:
        return None
    ids = context.ids(term.source)
    target = context.place(form)
    elements = target.elements.reshape(-1, table.shape[1])
    plane = int(elements[0, -1] - elements[0, 0]) // max(1, table.shape[1] - 1)
    if not np.array_equal(elements, elements[:, :1] + plane * np.arange(table.shape[1])):
        return None
    assembly = context.assembly
    parts = -(-len(elements) // SHARE)
    assembly.add(
        LookedUp(
            parts * context.lanes.samples,
            table.ctypes.data,
            len(table),
            table.shape[1],
            assembly.integers(ids.elements.ravel()[np.ravel(numbers)]),
            assembly.integers(elements[:, 0]),
            len(elements),
            plane,
            target.step,
            ids.step,
            context.lanes.samples,
        )
    )
    # The address is of the model's own array.
    context.tables.append(table)
    return target
