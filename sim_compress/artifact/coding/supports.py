"""Where the nonzeros of a matrix are: a deflated bitmap, or gaps in a Rice code.

A Rice code of geometric gaps takes at most 4.2 % more than the entropy of independent entries. A bitmap is as
tight where density is high, and shorter where the support has a pattern: tiles, N:M, empty columns. Indices
packed in b = ceil(log2 columns) bits with a count for every row (appendix B of the paper) never take less:
rice = b - 1 stores the same b bits a nonzero and at most 2 zeros a row.
"""

from dataclasses import dataclass

import numpy as np

from sim_compress.artifact.coding.deflate import deflated, inflated
from sim_compress.artifact.coding.packing import (
    Bytes,
    Numbers,
    bit_places,
    pack,
    pack_unary,
    packed_size,
    unary_ones,
    unpack,
)
from sim_compress.errors import ArtifactError

MAX_RICE = 31
# A bitmap has at most so many entries a nonzero: the values' bytes then bound what it takes in memory.
SPARSEST_BITMAP = 32


@dataclass(frozen=True)
class Support:
    """A support as stored; `rice` is None where it is a bitmap."""

    rice: int | None
    data: Bytes


def encode_support(positions: Numbers, entries: int) -> Support:
    """The shorter code of increasing positions among so many entries."""
    rice = _rice(positions)
    if entries > SPARSEST_BITMAP * len(positions):
        return rice
    bits = np.zeros(entries, np.uint8)
    bits[positions] = 1
    stream = deflated(np.packbits(bits, bitorder="little").tobytes())
    bitmap = Support(None, np.frombuffer(stream, np.uint8))
    return min(rice, bitmap, key=lambda support: len(support.data))


def _rice(positions: Numbers) -> Support:
    """The shortest Rice code of the gaps."""
    gaps = np.diff(positions, prepend=-1) - 1
    longest = int(gaps.max(initial=0)).bit_length()
    rice = min(range(longest + 1), key=lambda r: len(gaps) * (r + 1) + int((gaps >> r).sum()))
    return Support(rice, np.concatenate([pack(gaps, rice), pack_unary(gaps >> rice)]))


def decode_support(stored: Support, count: int, entries: int) -> Numbers:
    """The `count` increasing positions among the entries.

    Raises:
        ArtifactError: there are more or fewer, one is beyond the entries, or the code breaks a rule.
    """
    if stored.rice is None:
        return _from_bitmap(stored.data, count, entries)
    size = packed_size(count, stored.rice)
    if size > len(stored.data):
        raise ArtifactError(f"expected {size} bytes of low bits, found {len(stored.data)}")
    ones = unary_ones(stored.data[size:], count)
    return from_gaps(stored.data[:size], ones, stored.rice, entries)


def _from_bitmap(stored: Bytes, count: int, entries: int) -> Numbers:
    if entries > SPARSEST_BITMAP * count:
        raise ArtifactError(
            f"expected a bitmap of at most {SPARSEST_BITMAP} entries a nonzero, found {entries} for {count}"
        )
    size = packed_size(entries, 1)
    bitmap = inflated(stored.data, size)
    if len(bitmap) != size:
        raise ArtifactError(f"expected a bitmap of {size} bytes, found {len(bitmap)}")
    positions = bit_places(np.frombuffer(bitmap, np.uint8))
    if len(positions) != count:
        raise ArtifactError(f"expected {count} nonzeros in the bitmap, found {len(positions)}")
    return _inside(positions, entries)


def from_gaps(lows: Bytes, ones: Numbers, rice: int, entries: int) -> Numbers:
    """The positions behind the gaps `high << rice | low` before each nonzero.

    Args:
        lows: packed numbers of `rice` bits.
        ones: where the ones stand in the unary code of the numbers `high`.
    """
    if not rice or not len(ones):
        return _inside(ones, entries)
    order = np.arange(len(ones))
    positions = ones - order
    # As a Python number, so that a claim too large for 64 bits does not wrap.
    if int(positions[-1]) << rice >= entries:
        raise _beyond(entries)
    positions <<= rice
    positions += order
    positions += np.cumsum(unpack(lows, len(ones), rice), dtype=np.int64)
    return _inside(positions, entries)


def _inside(positions: Numbers, entries: int) -> Numbers:
    """The increasing positions themselves; ArtifactError where the last one is beyond the entries."""
    if len(positions) and positions[-1] >= entries:
        raise _beyond(entries)
    return positions


def _beyond(entries: int) -> ArtifactError:
    return ArtifactError(f"expected all nonzeros among {entries} entries, found one beyond them")
