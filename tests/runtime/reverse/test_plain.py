"""The kernels of tied rows and their numpy twins give the same numbers."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from sim_compress.runtime.compiled.code.vectors import WIDTH
from sim_compress.runtime.reverse import plain, tied
from sim_compress.runtime.reverse.lanes import aligned
from sim_compress.runtime.reverse.tied_code import LANES, ROWS

FEATURES, ENTRIES = 12, 20
RANDOM = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def entries(number: int) -> np.ndarray:
    """(number, LANES), as the kernels want them."""
    array = aligned(number, LANES)
    array[:] = floats(number, LANES)
    return array


def rows(*, alike: bool) -> Any:
    """Two groups of rows and one more; where they are alike, each group has the same columns."""
    kept = np.repeat(RANDOM.random((3, FEATURES)) < 0.5, ROWS, axis=0)[: 2 * ROWS + 1]
    if not alike:
        kept = RANDOM.random((2 * ROWS + 1, FEATURES)) < 0.5
    return sparse.csr_matrix(np.where(kept, floats(2 * ROWS + 1, FEATURES), 0))


def table(positions: int) -> np.ndarray:
    return RANDOM.integers(0, ENTRIES, (FEATURES, positions)).astype(np.int32)


@pytest.mark.parametrize("positions", [1, 5, 16])
@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize("begun", [True, False])
def test_sums_agree(positions, alike, rectify, begun):
    matrix, places, x = rows(alike=alike), table(positions), entries(ENTRIES)
    shared = np.array([alike, alike, False])
    start = np.zeros(0, np.float32) if begun else floats(matrix.shape[0])
    before = entries(matrix.shape[0] * positions)
    found = []
    for add_rows in (tied.add_rows, plain.add_rows):
        z = aligned(len(before), LANES)
        z[:] = before
        tiles = z.reshape(-1, positions, LANES)
        add_rows(matrix.indptr, matrix.indices, matrix.data, shared, places, x, tiles, start, rectify)
        found.append(z)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("positions", [1, 5, 16])
@pytest.mark.parametrize("deep", [True, False])
def test_gradients_agree(positions, deep):
    matrix, places, x = rows(alike=False), table(positions), entries(ENTRIES)
    dz = entries(matrix.shape[0] * positions).reshape(-1, positions, LANES)
    found = []
    for add_gradients in (tied.add_gradients, plain.add_gradients):
        dvalues, dx = aligned(matrix.nnz, WIDTH), aligned(ENTRIES if deep else 0, LANES)
        dvalues.fill(0)
        dx.fill(1)
        add_gradients(matrix.indptr, matrix.indices, matrix.data, places, x, dz, dvalues, dx)
        found.append((dvalues.sum(axis=1), dx))
    for compiled, numpy in zip(*found, strict=True):
        np.testing.assert_allclose(compiled, numpy, rtol=1e-4, atol=1e-4)


def test_differences_agree():
    one, other = entries(ENTRIES), entries(ENTRIES)
    found = []
    for weighted_difference in (tied.weighted_difference, plain.weighted_difference):
        found.append(aligned(ENTRIES, LANES))
        weighted_difference(one, other, np.float32(3.0), found[-1])
    np.testing.assert_array_equal(*found)
