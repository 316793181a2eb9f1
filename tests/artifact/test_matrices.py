"""Matrices come back as they were, from few bytes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sim_compress.artifact.arrays import Allowance, Arrays
from sim_compress.artifact.fields import Field
from sim_compress.artifact.matrix_decoder import decode_matrix, decode_vector
from sim_compress.artifact.matrix_encoder import Coded, Size, encode_matrix, encode_vector
from sim_compress.errors import InputError
from sim_compress.model import VALUES, round_values

from .models import column, same, weights

# A Rice code of geometric gaps takes at most 4.2 % more than their entropy.
ABOVE_ENTROPY = 1.05
# The exponent of a normal value takes 8 bits in float32 and bfloat16, 5 in float16; about 2.7 in unary.
EXPONENT_BITS = 3


def stretch(stored: np.ndarray) -> Arrays:
    """These bytes as the rows of a file."""
    return Arrays(stored, Allowance(len(stored)))


def decoded(coded: Coded, size: Size) -> sparse.csr_array:
    """A matrix stored and read, and its groups checked."""
    field = Field(json.loads(json.dumps(coded.fields)), "weight")
    weight, groups = decode_matrix(stretch(coded.data), "A", field, size.rows)
    assert groups == size.groups
    return weight


def entropy(size: Size, nnz: int) -> float:
    """Bits of the support of a matrix whose entries are nonzero independently of each other."""
    p = nnz / size.entries
    return -size.entries * (p * math.log2(p) + (1 - p) * math.log2(1 - p))


@settings(deadline=None, derandomize=True)
@given(
    rows=st.integers(1, 7),
    width=st.integers(1, 300),
    groups=st.sampled_from([1, 2, 3]),
    density=st.floats(0, 1),
    values=st.sampled_from(VALUES),
    seed=st.integers(0, 2**16),
)
def test_matrices_of_any_sparsity_come_back(
    rows: int, width: int, groups: int, density: float, values: str, seed: int
) -> None:
    size = Size(rows * groups, width * groups, groups)
    weight = weights(size.rows, size.columns, density, groups, seed)
    weight.data = round_values(weight.data, values)
    found = decoded(encode_matrix(weight, size), size)
    assert same(found, weight)
    assert found.indices.dtype == found.indptr.dtype == np.int32
    found.check_format(full_check=True)
    assert found.has_canonical_format


@settings(deadline=None, derandomize=True)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=50))
def test_values_come_back_to_the_bit(values: list[float]) -> None:
    wanted = np.array(values, np.float32)
    kind, packed = encode_vector(wanted)
    found = decode_vector(stretch(packed), "b", Field(kind, "bias"), len(values))
    assert found.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("density", [0.3, 0.2, 0.1, 0.05, 0.01])
def test_supports_take_little_more_than_their_entropy(density: float) -> None:
    size = Size(64, 1000, 1)
    coded = encode_matrix(weights(64, 1000, density), size)
    assert coded.support_bits < ABOVE_ENTROPY * entropy(size, int(str(coded.fields["count"])))


def test_a_support_is_never_larger_than_a_bitmap_or_packed_indices() -> None:
    for density in (0.001, 0.01, 0.1, 0.5, 0.9):
        for rows, width in ((1, 1000), (30, 33), (200, 3)):
            size = Size(rows, width, 1)
            weight = weights(rows, width, density)
            support = encode_matrix(weight, size).support_bits
            assert support <= size.entries
            assert support <= weight.nnz * (width - 1).bit_length() + 8 * rows


@pytest.mark.parametrize("values", VALUES)
def test_values_take_less_than_their_format(values: str) -> None:
    weight = weights(64, 100, 1.0)
    weight.data = round_values(weight.data, values)
    others = {"float32": 24, "float16": 11, "bfloat16": 8}[values]
    coded = encode_matrix(weight, Size(64, 100, 1))
    assert coded.fields.get("values", "float32") == values
    assert 8 * len(coded.data) < weight.nnz * (others + EXPONENT_BITS)


def test_values_with_every_exponent_are_stored_whole() -> None:
    bits = np.random.default_rng(0).integers(1, 2**31 - 2**23, 4000).astype(np.uint32)
    weight = sparse.csr_array(bits.view(np.float32).reshape(40, 100))
    coded = encode_matrix(weight, Size(40, 100, 1))
    assert coded.fields == {"columns": 100}
    assert len(coded.data) == 4 * 4000


def test_few_zeros_are_stored_as_values() -> None:
    size = Size(50, 100, 1)
    weight = weights(50, 100, 0.99)
    coded = encode_matrix(weight, size)
    assert "count" not in coded.fields
    assert same(decoded(coded, size), weight)


def test_stored_zeros_and_duplicates_are_not_written() -> None:
    weight = sparse.csr_array(
        (np.array([2, 0, 3, 4], np.float32), np.array([3, 1, 0, 3]), np.array([0, 2, 4])), shape=(2, 4)
    )
    before = weight.data.copy()
    found = decoded(encode_matrix(weight, Size(2, 4, 1)), Size(2, 4, 1))
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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    weight = weights(4, 8, 1.0)
    weight.data[3] = value
    with pytest.raises(InputError, match=f"finite values, found {value}"):
        encode_matrix(weight, Size(4, 8, 1))
    with pytest.raises(InputError, match=f"finite values, found {value}"):
        encode_vector(np.append(column(3), np.float32(value)))
