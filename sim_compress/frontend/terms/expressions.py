"""Affine expressions: what a tensor is, in terms of the sources, before it becomes a state block.

An expression is an `Affine`. It is weighted where it holds parameters; an unweighted one is a sum of
rearranged sources and may be used any number of times.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.frontend.budget import spread_shape
from sim_compress.frontend.refusal import RefusalError
from sim_compress.frontend.terms.rows import finite
from sim_compress.model import Affine, LinearMap, Offset, Pad, Reshape, Scale, Shape, Slice, Term, picking
from sim_compress.model.maps import Array


def reference(source: str, shape: Shape) -> Affine:
    """The expression that is one source."""
    return Affine(shape, (Term(source),))


def is_weighted(x: Affine) -> bool:
    """Whether the expression holds parameters."""
    return bool(x.weighted)


def mapped(x: Affine, *maps: LinearMap) -> Affine:
    """An unweighted expression behind further maps.

    Raises:
        RefusalError: a map does not fit the shape, or spreads it over too much memory.
    """
    shape = check_spread(maps, x.shape)
    if all(isinstance(m, Reshape) for m in maps) and shape == x.shape:
        return x
    return Affine(shape, tuple(replace(t, maps=(*t.maps, *maps)) for t in x.terms))


def check_spread(maps: Sequence[LinearMap], shape: Shape) -> Shape:
    """Shape behind a chain of maps.

    Raises:
        RefusalError: a map does not fit the shape, or spreads it over too much memory.
    """
    try:
        return spread_shape(maps, shape)
    except ValueError as error:
        raise RefusalError(str(error)) from error


def picked(x: Affine, axis: int, places: Array) -> Affine:
    """Entries of an unweighted expression along a feature axis, in the given order.

    Raises:
        RefusalError: there are none, or one lies outside.
    """
    size = x.shape[axis]
    if not len(places) or places.min() < 0 or places.max() >= size:
        raise RefusalError(f"picks {len(places)} entries of an axis of {size}, none or one outside")
    if np.array_equal(places, np.arange(size)):
        return x
    strides = np.unique(np.diff(places))
    if len(strides) > 1 or 0 in strides:
        return mapped(x, picking(axis, places, size))
    step = int(strides[0]) if len(strides) else 1

    def at(value: int, others: Sequence[int]) -> Shape:
        return (*others[:axis], value, *others[axis + 1 :])

    zeros, ones = (0,) * len(x.shape), (1,) * len(x.shape)
    return mapped(x, Slice(at(int(places[0]), zeros), at(len(places), x.shape), at(step, ones)))


def summed(parts: Sequence[Affine]) -> Affine:
    """The sum of expressions of one shape; weighted ones need one row axis.

    Raises:
        RefusalError: shapes differ.
    """
    shapes = {p.shape for p in parts}
    if len(shapes) > 1:
        raise RefusalError(f"adds activations of different shapes {sorted(shapes)}, which would stretch one")
    weighted = [p for p in parts if is_weighted(p)]
    biases = [p.bias for p in weighted if p.bias is not None]
    bias = np.stack(biases).sum(axis=0) if biases else None
    row_axis = weighted[0].row_axis if weighted else 0
    return Affine(parts[0].shape, tuple(t for p in parts for t in p.terms), bias, row_axis)


def concatenated(parts: Sequence[Affine | Array], axis: int) -> Affine:
    """Unweighted expressions and constants side by side along a feature axis: the sum of zero-padded terms.

    Args:
        parts: at least one expression; constants have per-sample shapes.
        axis: feature axis.

    Raises:
        RefusalError: the other axes differ.
    """
    rest = {(*p.shape[:axis], *p.shape[axis + 1 :]) for p in parts}
    if len(rest) > 1:
        raise RefusalError(f"joins shapes {[p.shape for p in parts]} that differ beside axis {axis + 1}")
    total = sum(p.shape[axis] for p in parts)
    starts = [sum(p.shape[axis] for p in parts[:i]) for i in range(len(parts))]
    placed = [
        mapped(p, _room(p.shape, axis, start, total))
        for p, start in zip(parts, starts, strict=True)
        if isinstance(p, Affine)
    ]
    joined = summed(placed)
    for part, start in zip(parts, starts, strict=True):
        if not isinstance(part, Affine) and part.any():
            padded = _room(part.shape, axis, start, total).apply(finite(part)[..., None])[..., 0]
            joined = shifted(joined, padded)
    return joined


def _room(shape: Shape, axis: int, start: int, total: int) -> Pad:
    """Zeros where the other parts of a concatenation stand."""

    def at(amount: int) -> Shape:
        return tuple(amount if a == axis else 0 for a in range(len(shape)))

    return Pad(at(start), at(total - start - shape[axis]))


def per_row(x: Affine, constant: Array) -> NDArray[np.float32] | None:
    """One value per tied row, None where the constant also varies along positions."""
    full = np.moveaxis(np.broadcast_to(constant, x.shape), x.row_axis, 0).reshape(x.rows, -1)
    return full[:, 0].copy() if (full == full[:, :1]).all() else None


def can_scale(x: Affine, constant: Array) -> bool:
    """Whether `scaled` keeps the rows tied."""
    return not is_weighted(x) or per_row(x, constant) is not None


def can_shift(x: Affine, constant: Array) -> bool:
    """Whether `shifted` has a place for the constant."""
    return len(x.weighted) < len(x.terms) or per_row(x, constant) is not None


def scaled(x: Affine, constant: Array) -> Affine:
    """The product with a constant: weights and bias take it per row, other terms as a map."""
    if (constant == 1).all():
        return x
    rows = per_row(x, constant) if is_weighted(x) else None
    terms = tuple(
        replace(t, maps=(*t.maps, Scale(constant)))
        if t.weight is None or rows is None
        else replace(t, weight=_scaled_rows(t.weight, rows))
        for t in x.terms
    )
    bias = x.bias if x.bias is None or rows is None else x.bias * rows
    return replace(x, terms=terms, bias=bias)


def _scaled_rows(weight: sparse.csr_array, rows: NDArray[np.float32]) -> sparse.csr_array:
    values = weight.data * np.repeat(rows, np.diff(weight.indptr))
    if values.all():
        return sparse.csr_array((values, weight.indices, weight.indptr), weight.shape)
    product = sparse.csr_array((values, weight.indices.copy(), weight.indptr.copy()), weight.shape)
    product.eliminate_zeros()
    return product


def shifted(x: Affine, constant: Array) -> Affine:
    """The sum with a constant: the bias of a weighted expression takes it, else one term's offset."""
    rows = per_row(x, constant) if is_weighted(x) else None
    if rows is not None:
        return replace(x, bias=rows if x.bias is None else x.bias + rows)
    carrier = next(i for i, t in enumerate(x.terms) if t.weight is None)
    terms = list(x.terms)
    terms[carrier] = replace(terms[carrier], maps=(*terms[carrier].maps, Offset(constant)))
    return replace(x, terms=tuple(terms))
