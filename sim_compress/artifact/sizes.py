"""What the bytes of an artifact are for, beside the least that its supports could take."""

import math
from dataclasses import dataclass

from sim_compress.artifact.coding import Size, encode_matrix, narrowest
from sim_compress.model import Affine, ImplicitModel, weight_shape


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
    parts = [part for _, affine in model.affines() for part in (_matrices(affine), _bias(affine))]
    return Sizes(*(math.ceil(sum(column) / 8) for column in zip(*parts, strict=True)))


Bits = tuple[float, float, float, float]


def _matrices(affine: Affine) -> Bits:
    """Bits in the order of the attributes of `Sizes`."""
    supports = bound = values = plain = 0.0
    for term in affine.terms:
        if term.weight is not None:
            rows, columns = weight_shape(term.weight)
            size = Size(rows, columns, term.groups)
            coded = encode_matrix(term.weight, size)
            nonzeros = int(term.weight.count_nonzero())
            supports += 8 * len(coded.support.data) if coded.support else 0
            bound += size.entries * _entropy(nonzeros / size.entries)
            values += 8 * coded.values.size
            plain += nonzeros * coded.values.kind.bits
    return supports, bound, values, plain


def _bias(affine: Affine) -> Bits:
    bits = 0 if affine.bias is None else len(affine.bias) * narrowest(affine.bias).bits
    return 0, 0, bits, bits


def _entropy(part: float) -> float:
    """Bits that one yes or no takes where this part is yes."""
    return -sum(p * math.log2(p) for p in (part, 1 - part) if p)
