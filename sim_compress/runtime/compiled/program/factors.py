"""Constant factors of chains go into the weights: a chain without them needs no copy."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Affine, AlongAxis, ImplicitModel, LinearMap, Offset, Scale, Sum, Term
from sim_compress.model.maps import SELECTIONS

# Maps that a constant factor passes through.
LINEAR = (*SELECTIONS, AlongAxis, Sum, Scale)
# Factors between them that are multiplied with each other first, and then with a value, differ by rounding
# alone from those that meet it one by one: of float32's exponents, -126 to 127, most are left to the values.
SMALLEST, LARGEST = 2.0**-50, 2.0**50
NO_FACTORS = np.ones(0)


def composes(maps: Sequence[LinearMap]) -> bool:
    """Whether the factors of a chain can be multiplied beforehand, and its offsets with them.

    If not, a product may be infinite or 0 where the steps of the chain one by one give a number.
    """
    low = high = 1.0
    for step in maps:
        if isinstance(step, Offset) and np.abs(step.offset).max(initial=0.0) > LARGEST:
            return False
        factors = _factors(step)
        sizes = np.abs(factors[factors != 0], dtype=np.float64)
        low, high = low * sizes.min(initial=1.0), high * sizes.max(initial=1.0)
        if low < SMALLEST or high > LARGEST:
            return False
    return True


def _factors(step: LinearMap) -> NDArray[Any]:
    """The numbers that a map multiplies with."""
    if isinstance(step, Scale):
        return step.factor
    return step.matrix.data if isinstance(step, AlongAxis) else NO_FACTORS


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
    linear = all(isinstance(step, LINEAR) for step in term.maps)
    if term.weight is None or not factors or not linear or not composes(term.maps):
        return term
    wide = term.weight.astype(np.float64) * np.prod([float(step.factor.item()) for step in factors])
    with np.errstate(over="ignore", under="ignore"):
        weight = sparse.csr_array(wide.astype(np.float32))
    if not np.isfinite(weight.data).all() or weight.count_nonzero() < wide.count_nonzero():
        return term
    maps = tuple(step for step in term.maps if step not in factors)
    return replace(term, maps=maps, weight=weight)
