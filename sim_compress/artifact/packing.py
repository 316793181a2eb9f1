"""Whole numbers in a fixed number of bits each, little-endian (appendix B of the paper)."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import ArtifactError

Bytes = NDArray[np.uint8]


def bit_width(columns: int) -> int:
    """ceil(log2 columns): bits that tell `columns` indices apart; 0 for a single column."""
    return (columns - 1).bit_length()


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` numbers of `bits` bits take."""
    return -(-count * bits // 8)


def pack(numbers: NDArray[np.integer], bits: int) -> Bytes:
    """Numbers below 2**bits, shape (count,), as bytes of shape (packed_size,)."""
    planes = np.empty((len(numbers), bits), np.uint8)
    for bit in range(bits):
        planes[:, bit] = (numbers >> bit) & 1
    return np.packbits(planes.ravel(), bitorder="little")


def unpack(packed: Bytes, count: int, bits: int) -> NDArray[np.int32]:
    """The `count` numbers of `bits` bits (at most 31) behind `packed`, shape (count,).

    Raises:
        ArtifactError: a bit after the last number is set.
    """
    planes = unpack_bits(packed, count * bits).reshape(count, bits)
    numbers = np.zeros(count, np.int32)
    for bit in range(bits):
        numbers |= planes[:, bit].astype(np.int32) << bit
    return numbers


def unpack_bits(packed: Bytes, count: int) -> Bytes:
    """The first `count` bits as 0 or 1 each, shape (count,).

    Raises:
        ArtifactError: a bit after them is set, so that two files could mean the same.
    """
    used = count % 8
    if used and packed[-1] >> used:
        raise ArtifactError(f"expected zeros after bit {count}, found the last byte {packed[-1]:#04x}")
    return np.unpackbits(packed, count=count, bitorder="little")
