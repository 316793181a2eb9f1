"""Float formats: values as their bits and back, without loss."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.artifact.coding.packing import Bytes
from sim_compress.errors import ArtifactError, InputError
from sim_compress.model import round_values

Floats = NDArray[Any]
Bits = NDArray[Any]


@dataclass(frozen=True)
class FloatKind:
    """A float format: its names in the metadata and in safetensors, bits of its exponent and its mantissa.

    One bit more is the sign.
    """

    name: str
    dtype: str
    exponent: int
    mantissa: int

    @property
    def bits(self) -> int:
        """Bits of a whole value."""
        return 1 + self.exponent + self.mantissa


FLOAT32 = FloatKind("float32", "F32", 8, 23)
KINDS = {
    kind.name: kind
    for kind in (FLOAT32, FloatKind("float16", "F16", 5, 10), FloatKind("bfloat16", "BF16", 8, 7))
}


def holding(values: Floats) -> list[FloatKind]:
    """The formats that hold every value.

    Raises:
        InputError: a value is not finite.
    """
    if not np.isfinite(values).all():
        raise InputError(f"expected finite values, found {values[~np.isfinite(values)][0]}")
    return [k for k in KINDS.values() if np.array_equal(round_values(values, k.name), values)]


def narrowest(values: Floats) -> FloatKind:
    """The format of the fewest bits that holds every value.

    Raises:
        InputError: a value is not finite.
    """
    return min(holding(values), key=lambda kind: kind.bits)


def to_bits(values: Floats, kind: FloatKind) -> Bits:
    """The bits of each value in a format that holds it."""
    if kind.name == "float16":
        return values.astype("<f2").view("<u2").astype(np.uint32)
    return values.astype("<f4").view("<u4") >> (32 - kind.bits)


def to_bytes(values: Floats, kind: FloatKind) -> Bytes:
    """The values one after the other in a format that holds them."""
    return to_bits(values, kind).astype(f"<u{kind.bits // 8}").view(np.uint8)


def from_bits(bits: Bits, kind: FloatKind) -> Floats:
    """The float32 values of these bits, uint32."""
    if kind.name == "float16":
        return bits.astype(np.uint16).view(np.float16).astype(np.float32)
    return (bits if kind.bits == 32 else bits << (32 - kind.bits)).view(np.float32)


def from_bytes(stored: Bytes, kind: FloatKind) -> Floats:
    """The float32 values that stand one after the other, a copy.

    Raises:
        ArtifactError: a value is not finite.
    """
    values = from_bits(stored.view(f"<u{kind.bits // 8}").astype(np.uint32), kind)
    if not np.isfinite(values).all():
        raise ArtifactError(f"expected finite values, found {values[~np.isfinite(values)][0]}")
    return values
