"""What the bytes of an artifact are for, beside the least that its supports could take."""

import math
from dataclasses import dataclass

from sim_compress.artifact.floats import FLOAT32, KINDS
from sim_compress.artifact.matrix_encoder import Size, encode_matrix, encode_vector
from sim_compress.model import Affine, ImplicitModel, weight_shape


@dataclass(frozen=True)
class Sizes:
    """Bytes of all matrices and biases together.

    Attributes:
        supports: where the nonzeros are.
        supports_bound: entropy of that for a matrix of which the number of nonzeros is known: n h(nnz / n)
            bits, n the entries of the matrix.
        values: the nonzeros and biases, and the zeros among them where they are so few that they are stored.
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
            supports += coded.support_bits
            bound += size.entries * _entropy(nonzeros / size.entries)
            values += 8 * len(coded.data) - coded.support_bits
            plain += nonzeros * KINDS[str(coded.fields.get("values", FLOAT32.name))].bits
    return supports, bound, values, plain


def _bias(affine: Affine) -> Bits:
    bits = 0 if affine.bias is None else 8 * len(encode_vector(affine.bias)[1])
    return 0, 0, bits, bits


def _entropy(part: float) -> float:
    """Bits that one yes or no takes where this part is yes."""
    return -sum(p * math.log2(p) for p in (part, 1 - part) if p)
