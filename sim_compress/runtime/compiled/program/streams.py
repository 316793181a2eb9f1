"""Weights in the order the kernel reads them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import Term, weight_shape
from sim_compress.runtime.compiled.code.rounds import COUNTS, ONES, ROWS, SEVERAL, TWOS

Integers = NDArray[np.int64]
BITS = 1 << np.arange(ROWS)
LOOPS = (*TWOS, *ONES, *SEVERAL)
FIRST_SEVERAL = len(TWOS) + len(ONES)
# Which loop a column goes to, from the rows in which it is nonzero.
LOOP = np.zeros(2**ROWS, int)
LOOP[[sum(1 << r for r in rows) for (rows,) in (*ONES, *SEVERAL)]] = np.arange(len(TWOS), len(LOOPS))
# A loop of fewer columns costs more, by a branch that is guessed wrong, than taking them once for each row.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class Stream:
    """Nonzeros of a tied matrix, block after block.

    Attributes:
        columns: the matrix column of every entry.
        values: weights of every entry, one for each row of its loop.
        starts: first entry and first value of each block, (blocks, 2).
        counts: rounds of each loop, (blocks, segments, COUNTS).
    """

    columns: Integers
    values: NDArray[np.float32]
    starts: Integers
    counts: Integers


def tied_stream(weights: Sequence[sparse.csr_array]) -> Stream:
    """Blocks of ROWS rows; within a block by segment (one weight each), then in the order of the loops."""
    block, column, entries = _row_blocks(sparse.csr_array(sparse.hstack(weights)), ROWS)
    blocks = -(-weight_shape(weights[0])[0] // ROWS)
    segment = np.repeat(np.arange(len(weights)), [weight_shape(w)[1] for w in weights])
    part = block * len(weights) + segment[column]
    parts = blocks * len(weights)
    entry, bits = _without_rare(part, (entries != 0) @ BITS, parts)
    order, loop = _rounds(part[entry], bits, parts)
    entry, bits = entry[order], bits[order]
    kept = bits[:, None] & BITS != 0
    lengths = (
        np.bincount(block[entry], minlength=blocks),
        np.bincount(block[entry], kept.sum(axis=1), blocks),
    )
    starts = np.stack([np.concatenate([[0], np.cumsum(n)[:-1]]) for n in lengths], axis=1)
    sizes = np.bincount(part[entry] * len(LOOPS) + loop, minlength=parts * len(LOOPS))
    counts = _counts(sizes.reshape(parts, -1)).reshape(blocks, len(weights), COUNTS)
    values = entries[entry][kept].astype(np.float32)
    return Stream(column[entry], values, starts.astype(np.int64), counts)


def _without_rare(part: Integers, bits: Integers, parts: int) -> tuple[Integers, Integers]:
    """Entries and their rows; columns of a pattern that is rare in its part come once for each row."""
    pattern = part * 2**ROWS + bits
    rare = np.bincount(pattern, minlength=parts * 2**ROWS)[pattern] < FEWEST
    entry, row = np.nonzero(rare[:, None] & (bits[:, None] & BITS != 0))
    kept = np.flatnonzero(~rare)
    return np.concatenate([kept, entry]), np.concatenate([bits[kept], BITS[row]])


def _rounds(part: Integers, bits: Integers, parts: int) -> tuple[Integers, Integers]:
    """Order of entries by part, loop and round, and the loop of each."""
    group = part * 2**ROWS + bits
    order = np.argsort(group, kind="stable")
    group = group[order]
    sizes = np.bincount(group, minlength=parts * 2**ROWS)
    rank = np.arange(len(group)) - (np.cumsum(sizes) - sizes)[group]
    loop = LOOP[bits[order]]
    row = loop - len(TWOS)
    # The other row of a pair, where the entry is of a single row.
    single = loop < FIRST_SEVERAL
    partner = part[order] * 2**ROWS + np.where(single, BITS[np.where(single, row ^ 1, 0)], 0)
    paired = single & (rank < sizes[partner])
    loop = np.where(paired, row // 2, loop)
    rank = np.where(paired, 2 * rank + row % 2, rank)
    inner = np.lexsort((rank, loop, part[order]))
    return order[inner], loop[inner]


def _counts(sizes: Integers) -> Integers:
    """Rounds of the loops from their numbers of columns, with the sum of all rounds of several rows."""
    rounds = sizes // [len(columns) for columns in LOOPS]
    single, several = rounds[:, :FIRST_SEVERAL], rounds[:, FIRST_SEVERAL:]
    return np.hstack([single, several.sum(axis=1, keepdims=True), several])


@dataclass(frozen=True, eq=False)
class PhasedStream:
    """Nonzeros of a matrix, phase after phase of its columns, row after row.

    Attributes:
        columns: the matrix column of every nonzero.
        values: float32.
        counts: nonzeros of each row in each phase, (phases, rows).
    """

    columns: Integers
    values: NDArray[np.float32]
    counts: Integers


def phased_stream(weight: sparse.csr_array, columns: int) -> PhasedStream:
    """Phases of so many columns each."""
    height, width = weight_shape(weight)
    # Row after row, columns in order: only the phases are left to be sorted.
    entries = weight.sorted_indices().tocoo()
    kept = np.flatnonzero(entries.data)
    row, column = entries.row[kept], entries.col[kept]
    phases = max(1, -(-width // columns))
    phase = column // columns
    order = np.argsort(phase.astype(np.min_scalar_type(phases)), kind="stable")
    counts = np.bincount(phase.astype(np.int64) * height + row, minlength=phases * height)
    values = entries.data[kept][order].astype(np.float32)
    return PhasedStream(column[order].astype(np.int64), values, counts.reshape(phases, height))


@dataclass(frozen=True, eq=False)
class DenseStream:
    """A matrix without positions: blocks of `width` rows, and in each the columns that are not zero.

    Attributes:
        columns: the matrix column of every entry.
        values: (entries, width).
        starts: first entry of each block, and the end.
    """

    columns: Integers
    values: NDArray[np.float32]
    starts: Integers


def dense_stream(weight: sparse.csr_array, width: int) -> DenseStream:
    """Rows in lanes."""
    block, column, entries = _row_blocks(weight, width)
    starts = np.searchsorted(block, np.arange(-(-weight_shape(weight)[0] // width) + 1))
    return DenseStream(column, entries, starts)


def _row_blocks(weight: sparse.csr_array, rows: int) -> tuple[Integers, Integers, NDArray[np.float32]]:
    """Columns that are not zero in a block of so many rows: block, column and (entries, rows), in order."""
    height, width = weight_shape(weight)
    filling = np.full(-height % rows, weight.indptr[-1], weight.indptr.dtype)
    arrays = weight.data.astype(np.float32), weight.indices.copy(), np.concatenate([weight.indptr, filling])
    padded = sparse.csr_array(arrays, shape=(height + len(filling), width))
    padded.eliminate_zeros()
    blocks = padded.tobsr((rows, 1))
    blocks.sort_indices()
    block = np.repeat(np.arange(len(blocks.indptr) - 1), np.diff(blocks.indptr))
    return block, blocks.indices.astype(np.int64), np.asarray(blocks.data[:, :, 0], np.float32)


def weight_of(rows: int, term: Term) -> sparse.csr_array:
    """The weight of a term; a skip connection adds each feature to its own of so many rows."""
    if term.weight is not None:
        return term.weight
    ones, own = np.ones(rows, np.float32), np.arange(rows)
    return sparse.csr_array((ones, (own, own)), shape=(rows, rows))
