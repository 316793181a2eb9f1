"""Matrices come back as they were, from few bytes."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sim_compress.artifact.coding import Coded, Size, Stored, decode_matrix, encode_matrix, matrix_claims
from sim_compress.artifact.coding.deflate import inflated
from sim_compress.artifact.coding.floats import from_bytes, narrowest, to_bytes
from sim_compress.artifact.coding.supports import decode_support, encode_support
from sim_compress.artifact.fields import Field
from sim_compress.errors import InputError
from sim_compress.model import VALUES, round_values

from .models import column, same, weights

# A Rice code of geometric gaps takes at most 4.2 % more than their entropy.
ABOVE_ENTROPY = 1.05
# The exponent of a normal value takes 8 bits in float32 and bfloat16, 5 in float16; about 2.6 coded.
EXPONENT_BITS = 2.7


def decoded(coded: Coded, size: Size) -> sparse.csr_array:
    """A matrix stored and read, and its size checked."""
    claims = matrix_claims(Field(json.loads(json.dumps(coded.fields)), "weight"), size.rows)
    assert claims.size == size
    assert claims.value_bytes == len(coded.parts.get("values", b""))
    parts = {part: data.tobytes() for part, data in coded.parts.items()}
    heads = np.frombuffer(inflated(parts["exponents"], 10**6), np.uint8) if "exponents" in parts else None
    values, support = (np.frombuffer(parts.get(part, b""), np.uint8) for part in ("values", "support"))
    return decode_matrix(claims, Stored(values, heads, support))


def support_bits(coded: Coded) -> int:
    """Bits that tell where the nonzeros are."""
    return 8 * len(coded.parts.get("support", b""))


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
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=200))
def test_values_come_back_to_the_bit(values: list[float]) -> None:
    wanted = np.array(values, np.float32)
    kind = narrowest(wanted)
    assert from_bytes(to_bytes(wanted, kind), kind).tobytes() == wanted.tobytes()
    stored = sparse.csr_array(wanted[wanted != 0][None])
    if stored.nnz:
        size = Size(1, stored.nnz, 1)
        assert decoded(encode_matrix(stored, size), size).data.tobytes() == stored.data.tobytes()


@pytest.mark.parametrize(("spread", "lead"), [(5, 3), (40, 2), (100, 1), (200, 0)])
def test_values_of_any_spread_have_their_exponents_apart(spread: int, lead: int) -> None:
    rng = np.random.default_rng(0)
    weight = weights(40, 100, 1.0)
    weight.data *= np.exp2(np.r_[-spread, rng.integers(-2, 3, weight.nnz - 1)] + 60).astype(np.float32)
    coded = encode_matrix(weight, Size(40, 100, 1))
    assert coded.fields.get("lead", 3) == lead
    assert same(decoded(coded, Size(40, 100, 1)), weight)
    assert 8 * coded.values.size < 29 * weight.nnz


def test_denormal_values_come_back() -> None:
    weight = sparse.csr_array(np.full((8, 40), 2.0**-149, np.float32))
    weight.data[::2] *= -7
    size = Size(8, 40, 1)
    assert decoded(encode_matrix(weight, size), size).data.tobytes() == weight.data.tobytes()


@pytest.mark.parametrize("density", [0.3, 0.2, 0.1, 0.05, 0.01])
def test_supports_take_little_more_than_their_entropy(density: float) -> None:
    size = Size(64, 1000, 1)
    weight = weights(64, 1000, density)
    assert support_bits(encode_matrix(weight, size)) < ABOVE_ENTROPY * entropy(size, weight.nnz)


def test_a_support_is_never_larger_than_a_bitmap_or_packed_indices() -> None:
    for density in (0.001, 0.01, 0.1, 0.5, 0.9):
        for rows, width in ((1, 1000), (30, 33), (200, 3)):
            weight = weights(rows, width, density)
            bits = support_bits(encode_matrix(weight, Size(rows, width, 1)))
            assert bits <= 8 * -(-rows * width // 8)
            # Low bits and unary code end with a byte each.
            assert bits <= weight.nnz * (width - 1).bit_length() + 8 * rows + 16


@pytest.mark.parametrize("pattern", ["2:4", "tiles", "empty columns"])
def test_a_support_with_a_pattern_takes_less_than_the_entropy_of_any_other(pattern: str) -> None:
    rng, size = np.random.default_rng(0), Size(64, 512, 1)
    kept = np.ones((64, 512), bool)
    if pattern == "2:4":
        order = rng.permuted(np.tile([1, 1, 0, 0], (64, 128, 1)), axis=2)
        kept = order.reshape(64, 512).astype(bool)
    elif pattern == "tiles":
        kept = np.repeat(rng.random((64, 128)) < 0.3, 4, axis=1)
    else:
        kept[:, rng.random(512) < 0.5] = False
    weight = sparse.csr_array(kept * rng.standard_normal((64, 512)).astype(np.float32))
    coded = encode_matrix(weight, size)
    assert "rice" not in coded.fields
    assert support_bits(coded) < 0.7 * entropy(size, weight.nnz)
    assert same(decoded(coded, size), weight)


@pytest.mark.parametrize("density", [0.0, 0.01, 0.95, 1.0])
def test_both_codes_of_a_support_are_read(density: float) -> None:
    positions = np.flatnonzero(np.random.default_rng(0).random(3000) < density)
    stored = encode_support(positions, 3000)
    assert (stored.rice is None) == (density > 0.5)
    assert np.array_equal(decode_support(stored, len(positions), 3000), positions)


@pytest.mark.parametrize("values", VALUES)
def test_values_take_less_than_their_format(values: str) -> None:
    weight = weights(64, 100, 1.0)
    weight.data = round_values(weight.data, values)
    others = {"float32": 24, "float16": 11, "bfloat16": 8}[values]
    coded = encode_matrix(weight, Size(64, 100, 1))
    assert coded.fields.get("values", "float32") == values
    assert 8 * coded.values.size < weight.nnz * (others + EXPONENT_BITS)


def test_values_with_every_exponent_are_stored_whole() -> None:
    bits = np.random.default_rng(0).integers(1, 2**31 - 2**23, 4000).astype(np.uint32)
    weight = sparse.csr_array(bits.view(np.float32).reshape(40, 100))
    coded = encode_matrix(weight, Size(40, 100, 1))
    assert coded.fields == {"shape": [40, 100]}
    assert coded.parts["values"].tobytes() == weight.data.tobytes()


def test_a_matrix_without_zeros_has_no_support() -> None:
    size = Size(50, 100, 1)
    weight = weights(50, 100, 1.0)
    assert set(encode_matrix(weight, size).parts) == {"values", "exponents"}


def test_few_zeros_take_few_bytes() -> None:
    size = Size(50, 100, 1)
    weight = weights(50, 100, 1.0)
    weight.data[::1000] = 0
    coded = encode_matrix(weight, size)
    assert support_bits(coded) < 8 * 40
    assert decoded(coded, size).nnz == 4995


def test_an_empty_matrix_takes_no_bytes() -> None:
    size = Size(50, 100, 1)
    coded = encode_matrix(sparse.csr_array((50, 100), dtype=np.float32), size)
    assert coded.parts == {}
    assert decoded(coded, size).nnz == 0


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
        narrowest(np.append(column(3), np.float32(value)))


def test_more_entries_than_32_bits_number_are_told_apart() -> None:
    size = Size(70_000, 2**16, 1)
    places = np.array([[0, 0], [0, 2**16 - 1], [32_767, 5], [32_768, 6], [69_999, 2**16 - 1]])
    weight = sparse.csr_array((np.arange(1, 6, dtype=np.float32), tuple(places.T)), shape=size[:2])
    found = decoded(encode_matrix(weight, size), size).tocoo()
    assert np.array_equal(np.stack(found.coords, axis=1), places)
    assert np.array_equal(found.data, np.arange(1, 6))
