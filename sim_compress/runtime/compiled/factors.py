"""Constant factors of chains go into the weights: a chain without them needs no copy."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, ImplicitModel, Offset, Scale, Term


def without_factors(model: ImplicitModel) -> ImplicitModel:
    """The model with constant factors in its weights."""

    def fold(affine: Affine) -> Affine:
        return replace(affine, terms=tuple(map(_without_factors, affine.terms)))

    return replace(
        model,
        blocks=tuple(replace(b, affine=fold(b.affine)) for b in model.blocks),
        outputs=tuple(replace(o, affine=fold(o.affine)) for o in model.outputs),
    )


def _without_factors(term: Term) -> Term:
    """A term whose weight takes over the constant factors of its chain."""
    factors = [step for step in term.maps if isinstance(step, Scale) and step.factor.size == 1]
    if term.weight is None or not factors or any(isinstance(step, Offset) for step in term.maps):
        return term
    weight = term.weight.astype(np.float64) * np.prod([float(step.factor.item()) for step in factors])
    maps = tuple(step for step in term.maps if step not in factors)
    return replace(term, maps=maps, weight=sparse.csr_array(weight.astype(np.float32)))
