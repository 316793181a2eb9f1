"""Values without loss: the bits of a float, its exponent apart in unary where that is shorter.

The exponents of a trained matrix are few and their frequencies fall about by half from one to the next: the
rank of an exponent by frequency, in unary, is then as short as any code makes it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.artifact.packing import Numbers
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import round_values

Floats = NDArray[Any]
Bits = NDArray[Any]
# Bits that one more exponent takes in the metadata, about.
EXPONENT_ENTRY = 16


@dataclass(frozen=True)
class FloatKind:
    """A float format: name, bits of its exponent and of its mantissa; one bit more is the sign."""

    name: str
    exponent: int
    mantissa: int

    @property
    def bits(self) -> int:
        """Bits of a whole value."""
        return 1 + self.exponent + self.mantissa


FLOAT32 = FloatKind("float32", 8, 23)
KINDS = {kind.name: kind for kind in (FLOAT32, FloatKind("float16", 5, 10), FloatKind("bfloat16", 8, 7))}


@dataclass(frozen=True)
class CodedValues:
    """Values as whole numbers.

    Attributes:
        kind: the float format.
        exponents: those that occur, by falling frequency; None where `rests` are whole values.
        rests: sign and mantissa of every value, or all of its bits, (count,).
        ranks: position of each value's exponent in `exponents`, (count,); empty without them.
    """

    kind: FloatKind
    exponents: tuple[int, ...] | None
    rests: Bits
    ranks: Numbers

    @property
    def bits(self) -> int:
        """Bits they take, the list of exponents included."""
        return (
            len(self.rests) * rest_bits(self.kind, self.exponents is not None)
            + int((self.ranks + 1).sum())
            + EXPONENT_ENTRY * len(self.exponents or ())
        )


def rest_bits(kind: FloatKind, apart: bool) -> int:
    """Bits of one rest; fewer where the exponent stands apart."""
    return kind.bits - kind.exponent * apart


def code_values(values: Floats) -> CodedValues:
    """The shortest code that gives every bit back, in the narrowest format that holds the values.

    Raises:
        InputError: a value is not finite.
    """
    codes = [code for kind in _holding(values) for code in (whole_values(values, kind), _apart(values, kind))]
    return min(codes, key=lambda code: code.bits)


def narrowest(values: Floats) -> FloatKind:
    """The format of the fewest bits that holds every value.

    Raises:
        InputError: a value is not finite.
    """
    return min(_holding(values), key=lambda kind: kind.bits)


def _holding(values: Floats) -> list[FloatKind]:
    if not np.isfinite(values).all():
        raise InputError(f"expected finite values, found {values[~np.isfinite(values)][0]}")
    return [k for k in KINDS.values() if np.array_equal(round_values(values, k.name), values)]


def whole_values(values: Floats, kind: FloatKind) -> CodedValues:
    """Values of which all bits stand together."""
    return CodedValues(kind, None, _to_bits(values, kind), np.zeros(0, np.int64))


def _apart(values: Floats, kind: FloatKind) -> CodedValues:
    bits = _to_bits(values, kind)
    exponents = (bits >> kind.mantissa) & ((1 << kind.exponent) - 1)
    counts = np.bincount(exponents)
    order = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    rank = np.zeros(len(counts), np.int64)
    rank[order] = np.arange(len(order))
    sign = bits >> (kind.bits - 1)
    rests = (sign << kind.mantissa) | (bits & ((1 << kind.mantissa) - 1))
    return CodedValues(kind, tuple(order.tolist()), rests, rank[exponents])


def values_from(coded: CodedValues) -> Floats:
    """The values as float32, (count,).

    Raises:
        ArtifactError: a rank is beyond the exponents, or a value is not finite.
    """
    kind = coded.kind
    if coded.exponents is not None:
        # No exponent in the list is that of an infinity.
        return _from_bits(_joined(coded, coded.exponents), kind)
    values = _from_bits(coded.rests, kind)
    if not np.isfinite(values).all():
        raise ArtifactError(f"expected finite values, found {values[~np.isfinite(values)][0]}")
    return values


def _joined(coded: CodedValues, exponents: tuple[int, ...]) -> Bits:
    """Whole values from ranks and rests."""
    kind, most = coded.kind, int(coded.ranks.max(initial=0))
    if len(coded.ranks) and most >= len(exponents):
        raise ArtifactError(f"expected ranks below {len(exponents)} exponents, found {most}")
    bits = (np.array(exponents, np.uint32) << kind.mantissa).take(coded.ranks, mode="clip")
    bits |= coded.rests & ((1 << kind.mantissa) - 1)
    signs = coded.rests >> kind.mantissa
    signs <<= kind.bits - 1
    bits |= signs
    return bits


def _to_bits(values: Floats, kind: FloatKind) -> Bits:
    if kind.name == "float16":
        return values.astype("<f2").view("<u2").astype(np.uint32)
    return values.astype("<f4").view("<u4") >> (32 - kind.bits)


def _from_bits(bits: Bits, kind: FloatKind) -> Floats:
    if kind.name == "float16":
        return bits.astype("<u2").view("<f2").astype(np.float32)
    return (bits << (32 - kind.bits)).astype("<u4", copy=False).view("<f4").astype(np.float32, copy=False)
