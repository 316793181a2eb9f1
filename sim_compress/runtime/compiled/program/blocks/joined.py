"""Concatenations: sums of terms of which each gives other elements, copied side by side.

[h_0, 0, 0] + [0, h_1, 0] + [0, 0, h_2]      three copies of a third each, not three of the whole
"""

import numpy as np

from sim_compress.model import Affine
from sim_compress.model.maps import selects
from sim_compress.runtime.compiled.layout.places import Place
from sim_compress.runtime.compiled.program.blocks.copies import NOTHING, gather, has_operations, selected
from sim_compress.runtime.compiled.program.context import Context

# Two terms cost as much as the sum of them.
FEWEST = 3


def lower_joined(context: Context, affine: Affine, target: Place) -> bool:
    """Copy the terms of a concatenation into a place, halo included; False where it is none."""
    terms = affine.terms
    if affine.weighted or affine.bias is not None or len(terms) < FEWEST:
        return False
    if not all(all(map(selects, t.maps)) and has_operations(t.maps, context.values[t.source]) for t in terms):
        return False
    size = int(np.prod(affine.shape))
    term_of, source_of = np.full(size, NOTHING), np.zeros(size, np.int64)
    sources = [context.inside(term.source) for term in terms]
    for number, (term, source) in enumerate(zip(terms, sources, strict=True)):
        elements = np.ravel(np.asarray(selected(term.maps, source)))
        kept = np.flatnonzero(elements != NOTHING)
        if (term_of[kept] != NOTHING).any():
            return False
        term_of[kept], source_of[kept] = number, elements[kept]
    if (term_of == NOTHING).any():
        return False
    places, element = target.destinations
    terms_there = term_of[element]
    order = np.argsort(terms_there, kind="stable")
    ends = np.searchsorted(terms_there[order], np.arange(len(terms) + 1))
    for number, source in enumerate(sources):
        own = order[ends[number] : ends[number + 1]]
        gather(context, places[own], target.step, source_of[element[own]], source.step)
    return True
