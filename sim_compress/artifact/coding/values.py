"""The nonzeros of a matrix, without loss: whole, or with exponents apart where that is shorter.

Exponents of a trained matrix are few. With the leading bits of the mantissa, which are not uniform either, an
exponent makes one byte, and Huffman codes bring those bytes near their entropy: an exponent of the shipped
ResNet-20 takes 0.9 bits at 90 % sparsity and 1.6 at 40 % (tools/bench/files.py).
"""

from dataclasses import dataclass

import numpy as np

from sim_compress.artifact.coding.deflate import SYMBOLS, deflated
from sim_compress.artifact.coding.floats import (
    FloatKind,
    Floats,
    from_bits,
    holding,
    to_bits,
    to_bytes,
)
from sim_compress.artifact.coding.packing import Bytes, pack, packed_size, unpack
from sim_compress.errors import ArtifactError

# Leading mantissa bits beside an exponent: three leave room for 32 exponents; matrices with more take fewer.
LEAD = 3


@dataclass(frozen=True)
class Apart:
    """What stands beside exponents that are coded apart.

    Attributes:
        largest: the largest exponent, from which the others are counted down.
        lead: leading bits of the mantissa in each byte of exponents.
        exponents: a deflate stream of one byte a value.
    """

    largest: int
    lead: int
    exponents: Bytes


@dataclass(frozen=True)
class Values:
    """Values as stored: `data` holds them whole, or signs and the rest of the mantissas."""

    kind: FloatKind
    data: Bytes
    apart: Apart | None = None

    @property
    def size(self) -> int:
        """Bytes they take."""
        return len(self.data) + (len(self.apart.exponents) if self.apart else 0)


def value_bytes(kind: FloatKind, lead: int | None, count: int) -> int:
    """Bytes of `data`; `lead` is None where values are whole."""
    return packed_size(count, kind.bits if lead is None else _rest(kind, lead))


def encode_values(values: Floats) -> Values:
    """The shortest code that gives every bit back, in the narrowest format that holds the values.

    Raises:
        InputError: a value is not finite.
    """
    kinds = holding(values)
    codes = [code for kind in kinds for code in (Values(kind, to_bytes(values, kind)), _apart(values, kind))]
    return min(codes, key=lambda code: code.size)


def _apart(values: Floats, kind: FloatKind) -> Values:
    bits = to_bits(values, kind)
    exponents = (bits >> kind.mantissa) & ((1 << kind.exponent) - 1)
    largest = int(exponents.max(initial=0))
    lead = min(LEAD, 8 - (largest - int(exponents.min(initial=largest))).bit_length())
    below = kind.mantissa - lead
    heads = (bits >> below) & ((1 << kind.exponent + lead) - 1)
    stream = deflated((_top(largest, lead) - heads).astype(np.uint8).tobytes(), SYMBOLS)
    rests = (bits >> (kind.bits - 1) << below) | (bits & ((1 << below) - 1))
    return Values(kind, pack(rests, _rest(kind, lead)), Apart(largest, lead, np.frombuffer(stream, np.uint8)))


def decode_apart(kind: FloatKind, rests: Bytes, heads: Bytes, largest: int, lead: int) -> Floats:
    """The float32 values behind signs, rests of mantissas and exponents, (count,).

    Args:
        rests: packed, of the size that `value_bytes` says.
        heads: (count,), exponents with their leading bits, counted down from the largest.

    Raises:
        ArtifactError: an exponent is below 0, or a bit behind the last rest is set.
    """
    top = _top(largest, lead)
    if len(heads) and int(heads.max()) > top:
        raise ArtifactError(f"expected exponents of 0 or more, counted down from {largest}, found one below")
    below = kind.mantissa - lead
    rest = unpack(rests, len(heads), _rest(kind, lead))
    bits = heads.astype(np.uint32)
    np.subtract(np.uint32(top), bits, out=bits)
    bits <<= below
    # The sign is the highest bit of the rest: it moves to its place.
    sign = rest >> below
    sign *= np.uint32((1 << kind.bits - 1) - (1 << below))
    bits += rest
    bits += sign
    return from_bits(bits, kind)


def _top(largest: int, lead: int) -> int:
    """The largest exponent with all of its leading bits, which exponents are counted down from."""
    return ((largest + 1) << lead) - 1


def _rest(kind: FloatKind, lead: int) -> int:
    """Bits of a sign and of what is left of a mantissa."""
    return 1 + kind.mantissa - lead
