"""Packed numbers and matrices come back as they were, in the smallest layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save
from scipy import sparse

from sim_compress.artifact.layouts import LAYOUTS, Size, decode_matrix, encode_matrix
from sim_compress.artifact.packing import bit_width, pack, packed_size, unpack
from sim_compress.artifact.tensors import Tensors
from sim_compress.errors import ArtifactError, InputError

from .models import same, weights


def through_file(weight: sparse.csr_array, size: Size) -> sparse.csr_array:
    """A matrix encoded, stored and decoded."""
    parts = encode_matrix(weight, size)
    return decode_matrix(Tensors(save({f"A.{key}": value for key, value in parts.items()})), "A", size)


@settings(deadline=None, derandomize=True)
@given(bits=st.integers(0, 31), data=st.data())
def test_numbers_of_any_width_come_back(bits: int, data: st.DataObject) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40)), np.int64)
    packed = pack(numbers, bits)
    assert len(packed) == packed_size(len(numbers), bits)
    assert np.array_equal(unpack(packed, len(numbers), bits), numbers)


def test_the_bit_order_is_the_one_in_the_format_page() -> None:
    assert pack(np.array([5, 2, 7]), 3).tolist() == [0b11_010_101, 0b1]


@pytest.mark.parametrize(
    ("columns", "bits"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)]
)
def test_indices_take_the_ceiling_of_log2_columns(columns: int, bits: int) -> None:
    assert bit_width(columns) == bits


@settings(deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 7),
    width=st.integers(1, 300),
    groups=st.sampled_from([1, 2, 3]),
    density=st.floats(0, 1),
    seed=st.integers(0, 2**16),
)
def test_matrices_of_any_sparsity_come_back(
    rows: int, width: int, groups: int, density: float, seed: int
) -> None:
    size = Size(rows * groups, width * groups, groups)
    weight = weights(size.rows, size.columns, density, groups, seed)
    found = through_file(weight, size)
    assert same(found, weight)
    assert found.indices.dtype == found.indptr.dtype == np.int32
    found.check_format(full_check=True)
    assert found.has_canonical_format


@pytest.mark.parametrize(("density", "layout"), [(1.0, "dense"), (0.5, "bitmap"), (0.02, "packed")])
def test_the_smallest_layout_is_chosen(density: float, layout: str) -> None:
    parts = encode_matrix(weights(64, 500, density), Size(64, 500, 1))
    assert set(parts) == LAYOUTS[layout]


def test_row_counts_take_the_smallest_dtype_that_holds_them() -> None:
    wide = sparse.csr_array(np.ones((1, 300), np.float32))
    wide.resize((200, 300_000))
    assert encode_matrix(wide, Size(200, 300_000, 1))["counts"].dtype == np.uint16


def test_stored_zeros_and_duplicates_are_not_written() -> None:
    weight = sparse.csr_array(
        (np.array([2, 0, 3, 4], np.float32), np.array([3, 1, 0, 3]), np.array([0, 2, 4])), shape=(2, 4)
    )
    before = weight.data.copy()
    found = through_file(weight, Size(2, 4, 1))
    assert found.nnz == 3
    assert np.array_equal(found.toarray(), weight.toarray())
    assert np.array_equal(weight.data, before)


def test_a_nonzero_outside_its_group_is_refused() -> None:
    with pytest.raises(InputError, match=r"row 0 .* outside its group"):
        encode_matrix(weights(4, 8, 1.0), Size(4, 8, 2))


def test_weights_of_another_dtype_are_refused() -> None:
    with pytest.raises(InputError, match="float32 weights, found float64"):
        encode_matrix(sparse.csr_array(np.eye(3)), Size(3, 3, 1))


def test_a_broken_csr_is_refused() -> None:
    weight = weights(4, 8, 1.0)
    weight.indices[0] = 99
    with pytest.raises(InputError, match="valid CSR"):
        encode_matrix(weight, Size(4, 8, 1))


def test_a_set_bit_after_the_last_number_is_refused() -> None:
    with pytest.raises(ArtifactError, match="zeros after bit 3"):
        unpack(np.array([0b1000], np.uint8), 1, 3)
