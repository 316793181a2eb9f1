"""Numbers as bits, little-endian: a fixed number of bits each, or in unary."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import ArtifactError

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.int64]


def packed_size(count: int, bits: int) -> int:
    """Bytes that `count` numbers of `bits` bits take."""
    return -(-count * bits // 8)


def pack(numbers: NDArray[np.integer], bits: int) -> Bytes:
    """Numbers below 2**bits, shape (count,), as bytes of shape (packed_size,)."""
    if bits % 8 == 0:
        return np.ascontiguousarray(
            numbers.astype("<u4").view(np.uint8).reshape(-1, 4)[:, : bits // 8]
        ).ravel()
    planes = np.empty((len(numbers), bits), np.uint8)
    for bit in range(bits):
        planes[:, bit] = (numbers >> bit) & 1
    return np.packbits(planes.ravel(), bitorder="little")


def unpack(packed: Bytes, count: int, bits: int) -> NDArray[np.uint32]:
    """The `count` numbers of `bits` bits (at most 32) behind `packed`, shape (count,).

    Raises:
        ArtifactError: a bit after the last number is set.
    """
    used = count * bits % 8
    if used and packed[-1] >> used:
        raise ArtifactError(f"expected zeros after bit {count * bits}, found the last byte {packed[-1]:#04x}")
    if not count:
        return np.zeros(0, np.uint32)
    lanes = _lanes(bits)
    step, rounds = lanes.step, -(-count // len(lanes.bytes))
    padded = b"".join((packed.data, bytes(rounds * step + 8 - len(packed))))
    windows = np.ndarray((rounds, max(step, 1)), lanes.shifts.dtype, padded, 0, (step, 1))
    numbers = windows[:, lanes.bytes]
    numbers >>= lanes.shifts
    numbers &= lanes.mask
    return numbers.astype(np.uint32, copy=False).ravel()[:count]


class _Lanes(NamedTuple):
    """Where numbers of so many bits lie in the `step` bytes after which the next begin at the same bits.

    `bytes` and `shifts` say for each where it begins. With the bits before it in its first byte it lies in
    an item of the dtype of `shifts` and `mask`.
    """

    step: int
    bytes: NDArray[np.intp]
    shifts: NDArray[np.unsignedinteger]
    mask: np.unsignedinteger


@cache
def _lanes(bits: int) -> _Lanes:
    period = 8 // math.gcd(bits, 8)
    first = np.arange(period) * bits
    word = np.dtype("<u4" if bits + 7 <= 32 else "<u8")
    return _Lanes(bits * period // 8, first // 8, (first % 8).astype(word), word.type((1 << bits) - 1))


def pack_unary(numbers: NDArray[np.integer]) -> Bytes:
    """Every number n as n zeros and a one."""
    ones = np.cumsum(numbers + 1) - 1
    bits = np.zeros(int(ones[-1]) + 1 if len(ones) else 0, np.uint8)
    bits[ones] = 1
    return np.packbits(bits, bitorder="little")


def bit_places(packed: Bytes) -> Numbers:
    """Places of the bits that are 1, increasing."""
    return np.unpackbits(packed, bitorder="little").view(np.bool_).nonzero()[0]


def unary_ones(packed: Bytes, count: int) -> Numbers:
    """Places of the ones of `count` numbers that stand in unary in all of `packed`, shape (count,).

    Raises:
        ArtifactError: there are more or fewer numbers, or more than 7 bits after the last.
    """
    ones = bit_places(packed)
    if len(ones) != count:
        raise ArtifactError(f"expected {count} numbers in unary, found {len(ones)}")
    if (int(ones[-1]) // 8 + 1 if count else 0) != len(packed):
        raise ArtifactError(
            f"expected the last number in unary to end in byte {len(packed)}, found it before"
        )
    return ones
