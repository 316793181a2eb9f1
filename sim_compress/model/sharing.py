"""Rows that several blocks share, as steps of an unrolled network do: one set, owned by the first of them.

Blocks and outputs share their rows where their weights and their biases are the same arrays. A lookup reads
the rows of a block, as tied embeddings do, where its table is one of the block's weights.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse

from sim_compress.model.implicit import Affine, ImplicitModel, Term
from sim_compress.model.maps import Lookup

# Numbers of a weight, or rows of a table, that are compared before all others are.
FIRST = 8
# Rows of a table that are compared together.
PART = 4096
Table = np.ndarray | sparse.csr_array


def shared(model: ImplicitModel) -> ImplicitModel:
    """The model with one array in the place of weights that are equal to the last bit, and of their biases.

    Exporters write a weight that is used several times under several names, transposed or folded anew.
    Weights without an entry are no weights that somebody shared. A table that is equal to a weight is that
    weight too.
    """
    found = _Found()
    return _tied(replaced(model, {name: found.same(affine) for name, affine in model.affines()}))


def _tied(model: ImplicitModel) -> ImplicitModel:
    """The model whose lookups read the rows of a block where their tables are equal to them."""
    weights = [t.weight for _, a in model.affines() for t in a.weighted if t.groups == 1]
    lookups = (m for _, affine in model.affines() for m in model.own_tables(affine))
    tables = {id(m.table): w for m in lookups for w in weights if w is not None and _is_table(w, m)}
    return replaced(model, _reading(model.affines(), tables))


def _is_table(weight: sparse.csr_array, lookup: Lookup) -> bool:
    """Whether the rows of a weight are those of a table, to the last bit."""
    if weight.shape != lookup.shape or not weight.nnz:
        return False
    first = range(0, lookup.shape[0], PART)
    parts = (slice(FIRST), *(slice(start, start + PART) for start in first))
    return all(np.array_equal(weight[rows].toarray(), lookup.dense_rows(rows)) for rows in parts)


def with_own_tables(model: ImplicitModel) -> ImplicitModel:
    """The model whose lookups have tables of their own, which new rows of blocks leave as they are."""
    readers = {n for names in model.readers.values() for n in names}
    found = {id(m.table): m.dense_rows() for n, a in model.affines() if n in readers for m in a.lookups}
    return replaced(model, _reading(model.affines(), found))


def with_tables(affine: Affine, tables: Mapping[int, Table]) -> Affine:
    """A block whose lookups read other tables.

    Args:
        tables: id of a table -> the one in its place.
    """
    if not any(id(m.table) in tables for m in affine.lookups):
        return affine
    return replace(affine, terms=tuple(_with_tables(term, tables) for term in affine.terms))


def _with_tables(term: Term, tables: Mapping[int, Table]) -> Term:
    maps = (
        Lookup(tables[id(m.table)]) if isinstance(m, Lookup) and id(m.table) in tables else m
        for m in term.maps
    )
    return replace(term, maps=tuple(maps))


def _reading(affines: Iterable[tuple[str, Affine]], tables: Mapping[int, Table]) -> dict[str, Affine]:
    """The blocks that look ids up in some tables, with those in their places."""
    found = {name: (affine, with_tables(affine, tables)) for name, affine in affines}
    return {name: new for name, (old, new) in found.items() if new is not old}


def fresh_tables(model: ImplicitModel, rows: Mapping[str, Affine]) -> dict[int, Table]:
    """id of a weight that ids are looked up in -> the one that new rows have in its place."""
    own, found = dict(model.affines()), dict[int, Table]()
    for owner in filter(rows.__contains__, model.readers):
        for old, new in zip(own[owner].weights, rows[owner].weights, strict=True):
            if model.holders.get(id(old)) == owner:
                found[id(old)] = new
    return found


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
    return _tied(
        replaced(model, {n: with_rows_of(a, owner) for n, a, owner in pairs if _equal_rows(a, owner)})
    )


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
    """New rows of some owners, and of all blocks and outputs of the model that share them or read them."""
    own = dict(model.affines())
    others = {n: owner for owner in rows for n in model.uses(owner) if n not in rows}
    found = {**rows, **{n: with_rows_of(own[n], rows[owner]) for n, owner in others.items()}}
    return {**found, **_reading({**own, **found}.items(), fresh_tables(model, rows))}


def replaced(model: ImplicitModel, rows: Mapping[str, Affine]) -> ImplicitModel:
    """The model with new rows of some blocks and outputs."""
    return ImplicitModel(
        model.inputs,
        tuple(replace(b, affine=rows.get(b.name, b.affine)) for b in model.blocks),
        tuple(replace(o, affine=rows.get(o.name, o.affine)) for o in model.outputs),
    )
