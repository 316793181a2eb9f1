"""What the bytes of an artifact are for, beside the least that its supports could take."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.artifact.coding import Size, encode_matrix, narrowest
from sim_compress.model import ImplicitModel, Term, weight_shape


@dataclass(frozen=True)
class Sizes:
    """Bytes of all matrices and biases together.

    Attributes:
        supports: where the nonzeros are.
        supports_bound: entropy of that for a matrix of which the number of nonzeros is known: n h(nnz / n)
            bits, n the entries of the matrix.
        values: the nonzeros and biases.
        values_plain: nonzeros and biases in their float format.
    """

    supports: int
    supports_bound: int
    values: int
    values_plain: int


def sizes(model: ImplicitModel) -> Sizes:
    """The sizes of a model in its artifact."""
    affines = [affine for _, affine in model.affines()]
    # Arrays that several blocks share are stored once.
    weights = {id(t.weight): t for affine in affines for t in affine.weighted}
    biases = {id(affine.bias): affine.bias for affine in affines if affine.bias is not None}
    parts = [(0, 0, 0, 0), *map(_matrix, weights.values()), *map(_bias, biases.values())]
    return Sizes(*(math.ceil(sum(column) / 8) for column in zip(*parts, strict=True)))


Bits = tuple[float, float, float, float]


def _matrix(term: Term) -> Bits:
    """Bits of a term's weight in the order of the attributes of `Sizes`."""
    assert term.weight is not None
    rows, columns = weight_shape(term.weight)
    size = Size(rows, columns, term.groups)
    coded = encode_matrix(term.weight, size)
    nonzeros = int(term.weight.count_nonzero())
    return (
        8 * len(coded.support.data) if coded.support else 0,
        size.entries * _entropy(nonzeros / size.entries),
        8 * coded.values.size,
        nonzeros * coded.values.kind.bits,
    )


def _bias(bias: NDArray[np.float32]) -> Bits:
    bits = len(bias) * narrowest(bias).bits
    return 0, 0, bits, bits


def _entropy(part: float) -> float:
    """Bits that one yes or no takes where this part is yes."""
    return -sum(p * math.log2(p) for p in (part, 1 - part) if p)
