"""Rows that several blocks share, as steps of an unrolled network do: one set, owned by the first of them.

Blocks and outputs share their rows where their weights and their biases are the same arrays.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse

from sim_compress.model.implicit import Affine, ImplicitModel, Term

# Numbers of a weight that are compared before all others are.
FIRST = 8


def shared(model: ImplicitModel) -> ImplicitModel:
    """The model with one array in the place of weights that are equal to the last bit, and of their biases.

    Exporters write a weight that is used several times under several names, transposed or folded anew.
    Weights without an entry are no weights that somebody shared.
    """
    found = _Found()
    return replaced(model, {name: found.same(affine) for name, affine in model.affines()})


class _Found:
    """The weights and the rows so far."""

    def __init__(self) -> None:
        self._weights: dict[tuple[object, ...], list[sparse.csr_array]] = {}
        self._rows: dict[tuple[object, ...], list[Affine]] = {}

    def same(self, affine: Affine) -> Affine:
        """The rows in the arrays of those that are equal."""
        if not any(w.nnz for w in affine.weights):
            return affine
        weights = [self._weight(w) for w in affine.weights]
        found = replace(affine, terms=_with_weights(affine, weights))
        known = self._rows.setdefault((*map(id, weights), *(t.groups for t in affine.weighted)), [])
        for other in known:
            if _equal(other.bias, affine.bias):
                return with_rows_of(affine, other)
        known.append(found)
        return found

    def _weight(self, weight: sparse.csr_array) -> sparse.csr_array:
        known = self._weights.setdefault((weight.shape, weight.nnz, weight.data[:FIRST].tobytes()), [])
        for other in known:
            if _equal_weights(other, weight):
                return other
        known.append(weight)
        return weight


def still_shared(model: ImplicitModel, owners: Mapping[str, str]) -> ImplicitModel:
    """The model with the owners' arrays where blocks that shared rows have equal ones.

    Args:
        model: each block has arrays of its own.
        owners: block or output -> the one whose rows it had.
    """
    own = dict(model.affines())
    pairs = ((n, own[n], own[owner]) for n, owner in owners.items() if n != owner)
    return replaced(model, {n: with_rows_of(a, owner) for n, a, owner in pairs if _equal_rows(a, owner)})


def _equal_rows(one: Affine, other: Affine) -> bool:
    weights = zip(one.weights, other.weights, strict=True)
    return _equal(one.bias, other.bias) and all(_equal_weights(a, b) for a, b in weights)


def _equal_weights(one: sparse.csr_array, other: sparse.csr_array) -> bool:
    parts = ("data", "indices", "indptr")
    return one.shape == other.shape and all(_equal(getattr(one, p), getattr(other, p)) for p in parts)


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def _with_weights(affine: Affine, weights: list[sparse.csr_array]) -> tuple[Term, ...]:
    fresh = iter(weights)
    return tuple(t if t.weight is None else replace(t, weight=next(fresh)) for t in affine.terms)


def with_rows_of(affine: Affine, owner: Affine) -> Affine:
    """A block with the weights and the bias of another one, whose terms have the same shapes."""
    return replace(affine, terms=_with_weights(affine, list(owner.weights)), bias=owner.bias)


def every_use(model: ImplicitModel, rows: Mapping[str, Affine]) -> dict[str, Affine]:
    """New rows of some owners, and of all blocks and outputs of the model that share them."""
    own = dict(model.affines())
    others = {n: owner for owner in rows for n in model.uses(owner) if n not in rows}
    return {**rows, **{n: with_rows_of(own[n], rows[owner]) for n, owner in others.items()}}


def replaced(model: ImplicitModel, rows: Mapping[str, Affine]) -> ImplicitModel:
    """The model with new rows of some blocks and outputs."""
    return ImplicitModel(
        model.inputs,
        tuple(replace(b, affine=rows.get(b.name, b.affine)) for b in model.blocks),
        tuple(replace(o, affine=rows.get(o.name, o.affine)) for o in model.outputs),
    )
