"""The nonzeros of a matrix, without loss: whole, or with exponents apart where that is shorter.

Exponents of a trained matrix are few. With the leading bits of the mantissa, which are not uniform either, an
exponent makes one byte, and Huffman codes bring those bytes near their entropy: an exponent of the shipped
ResNet-20 takes 0.9 bits at 90 % sparsity and 1.6 at 40 % (tools/bench/files.py).
"""

from dataclasses import dataclass

import numpy as np

from sim_compress.artifact.coding.deflate import SYMBOLS, deflated, inflated
from sim_compress.artifact.coding.floats import (
    FloatKind,
    Floats,
    from_bits,
    from_bytes,
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
    leading = (bits >> below) & ((1 << lead) - 1)
    stream = deflated(((largest - exponents) << lead | leading).astype(np.uint8).tobytes(), SYMBOLS)
    rests = (bits >> (kind.bits - 1) << below) | (bits & ((1 << below) - 1))
    return Values(kind, pack(rests, _rest(kind, lead)), Apart(largest, lead, np.frombuffer(stream, np.uint8)))


def decode_values(stored: Values, count: int) -> Floats:
    """The float32 values, (count,); `data` has the size that `value_bytes` says.

    Raises:
        ArtifactError: the stream of exponents breaks a rule, or a value is not finite.
    """
    kind, apart = stored.kind, stored.apart
    if apart is None:
        return from_bytes(stored.data, kind)
    heads = np.frombuffer(inflated(apart.exponents.data, count), np.uint8)
    if len(heads) != count:
        raise ArtifactError(f"expected {count} exponents, found {len(heads)}")
    farthest = int(heads.max(initial=0)) >> apart.lead
    if farthest > apart.largest:
        raise ArtifactError(f"expected exponents of 0 or more, found {apart.largest} - {farthest}")
    below = kind.mantissa - apart.lead
    rests = unpack(stored.data, count, _rest(kind, apart.lead))
    # Counting down from the largest exponent turns every byte into the leading bits of a value, at once.
    table = np.arange(256, dtype=np.int64)
    table = (apart.largest - (table >> apart.lead)) << apart.lead | (table & ((1 << apart.lead) - 1))
    bits = (table << below).astype(np.uint32)[heads]
    bits |= rests >> below << (kind.bits - 1)
    bits |= rests & np.uint32((1 << below) - 1)
    return from_bits(bits, kind)


def _rest(kind: FloatKind, lead: int) -> int:
    """Bits of a sign and of what is left of a mantissa."""
    return 1 + kind.mantissa - lead
