"""Constant factors of chains go into the weights: a chain without them needs no copy."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, AlongAxis, ImplicitModel, Scale, Sum, Term
from sim_compress.model.maps import SELECTIONS

# Maps that a constant factor passes through.
LINEAR = (*SELECTIONS, AlongAxis, Sum, Scale)


def without_factors(model: ImplicitModel) -> ImplicitModel:
    """The model with constant factors in its weights."""
    # Numbers of other inputs meet a factor in their own dtype.
    others = {i.name for i in model.inputs if i.dtype != "float32"}

    def fold(affine: Affine) -> Affine:
        terms = (t if t.source in others else _without_factors(t) for t in affine.terms)
        return replace(affine, terms=tuple(terms))

    return replace(
        model,
        blocks=tuple(replace(b, affine=fold(b.affine)) for b in model.blocks),
        outputs=tuple(replace(o, affine=fold(o.affine)) for o in model.outputs),
    )


def _without_factors(term: Term) -> Term:
    """A term whose weight takes over the constant factors of its chain."""
    factors = [step for step in term.maps if isinstance(step, Scale) and step.factor.size == 1]
    if term.weight is None or not factors or not all(isinstance(step, LINEAR) for step in term.maps):
        return term
    weight = term.weight.astype(np.float64) * np.prod([float(step.factor.item()) for step in factors])
    maps = tuple(step for step in term.maps if step not in factors)
    return replace(term, maps=maps, weight=sparse.csr_array(weight.astype(np.float32)))
