"""Streams hold every nonzero once, in the order of the loops that read them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sim_compress.runtime.compiled.code.rounds import COUNTS, ONES, ROWS, SEVERAL, TWOS
from sim_compress.runtime.compiled.program.streams import Stream, dense_stream, phased_stream, tied_stream
from tests.networks import weight


def replayed(stream: Stream, rows: int, columns: int) -> np.ndarray:
    """The matrix that the kernel's loops add up from a stream."""
    W = np.zeros((len(stream.starts) * ROWS, columns), np.float32)
    for block, start in enumerate(stream.starts):
        entry, value = start
        for counts in stream.counts[block]:
            single = [*TWOS, *ONES]
            loops = [*zip(single, counts, strict=False)]
            if counts[len(single)]:
                loops += zip(SEVERAL, counts[len(single) + 1 :], strict=True)
            for loop, rounds in loops:
                for _ in range(rounds):
                    for group in loop:
                        for row in group:
                            W[block * ROWS + row, stream.columns[entry]] += stream.values[value]
                            value += 1
                        entry += 1
    assert not W[rows:].any()
    return W[:rows]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 11), st.integers(1, 40), st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]), st.integers(0, 99)
)
def test_the_loops_give_the_matrix_back(rows, columns, density, seed):
    W = weight(rows, columns, density, seed)
    stream = tied_stream([W])
    np.testing.assert_array_equal(replayed(stream, rows, columns), W.toarray())
    assert len(stream.values) == W.count_nonzero()
    assert stream.counts.shape[1:] == (1, COUNTS)


def test_segments_follow_each_other_in_every_block():
    parts = [weight(6, 9, seed=1), weight(6, 4, seed=2)]
    stream = tied_stream(parts)
    together = np.hstack([p.toarray() for p in parts])
    np.testing.assert_array_equal(replayed(stream, 6, 13), together)


@pytest.mark.parametrize("width", [4, 16])
def test_dense_rows_keep_only_columns_that_some_row_has(width):
    W = weight(18, 12, 0.2).toarray()
    W[:, 5] = 0
    stream = dense_stream(sparse.csr_array(W), width)
    found = np.zeros((-(-18 // width) * width, 12), np.float32)
    for block, (first, last) in enumerate(zip(stream.starts, stream.starts[1:], strict=False)):
        for entry in range(first, last):
            found[block * width : (block + 1) * width, stream.columns[entry]] = stream.values[entry]
    np.testing.assert_array_equal(found[:18], W)
    assert 5 not in stream.columns


@given(st.integers(1, 12), st.integers(1, 40), st.integers(1, 45), st.integers(0, 3))
def test_phases_hold_every_nonzero_once_row_after_row(
    height: int, width: int, columns: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.standard_normal((height, width)) * (rng.random((height, width)) < 0.3)).astype(np.float32)
    stream = phased_stream(sparse.csr_array(dense), columns)
    assert stream.counts.shape == (-(-width // columns), height)
    found, place = np.zeros_like(dense), 0
    for phase, counts in enumerate(stream.counts):
        for row, count in enumerate(counts):
            own = stream.columns[place : place + count]
            assert (own // columns == phase).all()
            assert (np.diff(own) > 0).all()
            found[row, own] = stream.values[place : place + count]
            place += count
    np.testing.assert_array_equal(found, dense)
