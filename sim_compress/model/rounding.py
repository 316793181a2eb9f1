"""Values in fewer bits: a model whose weights half precision holds.

Biases stay float32: they are few, and take up what rounding does to the weights. Where a feature's mean is a
thousand times its deviation, a weight's last bit in half precision moves a row by half a deviation, and the
bias itself is as large as that mean.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.errors import InputError
from sim_compress.model.implicit import Affine, ImplicitModel
from sim_compress.model.sharing import every_use, replaced

VALUES = ("float32", "float16", "bfloat16")
# Means of the features that each weighted term reads, (columns,) each.
Means = Sequence[NDArray[np.float64]]


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


def rounded(
    model: ImplicitModel, kind: str, means: Mapping[str, Means] = MappingProxyType({})
) -> ImplicitModel:
    """The model with weights rounded to one of VALUES; those that become 0 leave the support.

    Args:
        model: in float32.
        kind: one of VALUES.
        means: block or output name -> of its features, over all uses of its rows; biases of blocks that
            are not there stay.

    Raises:
        InputError: a weight is too large for the format, with the block it is in.
    """
    rows = {n: rounded_rows(n, a, kind, means.get(n, ())) for n, a in model.affines() if model.owns(n)}
    return replaced(model, every_use(model, rows))


def rounded_rows(name: str, affine: Affine, kind: str, means: Means = ()) -> Affine:
    """The rows of one block or output, rounded; see `rounded`."""
    if kind == "float32":
        return affine
    return _with_data(affine, means, lambda data: _checked(data, name, kind))


def without_vanishing(affine: Affine, kind: str, means: Means = ()) -> Affine:
    """The rows as they are without the weights that would round to 0."""
    return _with_data(
        affine, means, lambda data: np.where(round_values(data, kind) == 0, np.float32(0), data)
    )


def _with_data(affine: Affine, means: Means, change: Callable[[NDArray[Any]], NDArray[np.float32]]) -> Affine:
    """The rows with other weights, and biases that keep the mean of what they give."""
    terms = tuple(
        t if t.weight is None else replace(t, weight=_changed(t.weight, change)) for t in affine.terms
    )
    found = replace(affine, terms=terms)
    if affine.bias is None or not means:
        return found
    lost = [old.astype(np.float64) - new for old, new in zip(affine.weights, found.weights, strict=True)]
    shift = sum((own @ mean for own, mean in zip(lost, means, strict=True)), np.zeros(affine.rows))
    moved = np.isfinite(shift) & (affine.bias != 0)
    return replace(found, bias=np.where(moved, affine.bias + shift, affine.bias).astype(np.float32))


def _changed(
    weight: sparse.csr_array, change: Callable[[NDArray[Any]], NDArray[np.float32]]
) -> sparse.csr_array:
    found = weight.copy()
    found.data = change(weight.data)
    found.eliminate_zeros()
    return found


def _checked(values: NDArray[Any], name: str, kind: str) -> NDArray[np.float32]:
    nearest = round_values(values, kind)
    if not np.isfinite(nearest).all():
        largest = values[~np.isfinite(nearest)][0]
        raise InputError(f"block {name!r}: {largest:.6g} is too large for {kind}: choose float32")
    return nearest
