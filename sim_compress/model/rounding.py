"""Values in fewer bits: a model whose weights and biases half precision holds."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import InputError
from sim_compress.model.implicit import Affine, ImplicitModel, Term

VALUES = ("float32", "float16", "bfloat16")


def round_values(values: NDArray[Any], kind: str) -> NDArray[np.float32]:
    """The nearest values of a float format, ties to even; beyond its largest they are infinite."""
    if kind == "float32":
        return values
    if kind == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).astype(np.float32)
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    return nearest.astype(np.uint32).view(np.float32)


def rounded(model: ImplicitModel, kind: str) -> ImplicitModel:
    """The model with weights and biases rounded to one of VALUES; those that become 0 leave the support.

    Raises:
        InputError: a value is too large for the format, with the block it is in.
    """
    return replace(
        model,
        blocks=tuple(replace(b, affine=rounded_rows(b.name, b.affine, kind)) for b in model.blocks),
        outputs=tuple(replace(o, affine=rounded_rows(o.name, o.affine, kind)) for o in model.outputs),
    )


def rounded_rows(name: str, affine: Affine, kind: str) -> Affine:
    """The rows of one block or output, rounded; see `rounded`."""
    if kind == "float32":
        return affine
    bias = None if affine.bias is None else _checked(affine.bias, name, kind)
    return replace(affine, bias=bias, terms=tuple(_rounded_term(t, name, kind) for t in affine.terms))


def without_vanishing(affine: Affine, kind: str) -> Affine:
    """The rows as they are without the weights and biases that would round to 0."""
    bias = affine.bias
    if bias is not None:
        bias = np.where(round_values(bias, kind) == 0, np.float32(0), bias)
    return replace(affine, bias=bias, terms=tuple(_without_vanishing(t, kind) for t in affine.terms))


def _without_vanishing(term: Term, kind: str) -> Term:
    if term.weight is None:
        return term
    weight = term.weight.copy()
    weight.data[round_values(weight.data, kind) == 0] = 0
    weight.eliminate_zeros()
    return replace(term, weight=weight)


def _rounded_term(term: Term, name: str, kind: str) -> Term:
    if term.weight is None:
        return term
    weight = term.weight.copy()
    weight.data = _checked(weight.data, name, kind)
    weight.eliminate_zeros()
    return replace(term, weight=weight)


def _checked(values: NDArray[Any], name: str, kind: str) -> NDArray[np.float32]:
    nearest = round_values(values, kind)
    if not np.isfinite(nearest).all():
        largest = values[~np.isfinite(nearest)][0]
        raise InputError(f"block {name!r}: {largest:.6g} is too large for {kind}: choose float32")
    return nearest
