"""Packed and unary numbers come back as they were."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.artifact.coding.packing import pack, pack_unary, packed_size, unary_ones, unpack
from sim_compress.errors import ArtifactError


@settings(deadline=None, derandomize=True)
@given(bits=st.integers(0, 32), data=st.data())
def test_numbers_of_any_width_come_back(bits: int, data: st.DataObject) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40)), np.int64)
    packed = pack(numbers, bits)
    assert len(packed) == packed_size(len(numbers), bits)
    assert np.array_equal(unpack(packed, len(numbers), bits), numbers)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 100), max_size=40))
def test_unary_numbers_come_back(numbers: list[int]) -> None:
    ones = unary_ones(pack_unary(np.array(numbers, np.int64)), len(numbers))
    assert (np.diff(ones, prepend=-1) - 1).tolist() == numbers


def test_the_bit_order_is_the_one_in_the_format_page() -> None:
    assert pack(np.array([5, 2, 7]), 3).tolist() == [0b11_010_101, 0b1]
    assert pack_unary(np.array([0, 2, 5])).tolist() == [0b0000_1001, 0b10]


def test_a_set_bit_after_the_last_number_is_refused() -> None:
    with pytest.raises(ArtifactError, match="zeros after bit 3"):
        unpack(np.array([0b1000], np.uint8), 1, 3)


@pytest.mark.parametrize(
    ("packed", "count", "message"),
    [
        ([0b11], 1, "expected 1 numbers in unary, found 2"),
        ([0b1], 2, "expected 2 numbers in unary, found 1"),
        ([0b1, 0], 1, "the last number in unary to end in byte 2"),
        ([0], 0, "the last number in unary to end in byte 1"),
    ],
)
def test_a_unary_code_of_another_length_is_refused(packed: list[int], count: int, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        unary_ones(np.array(packed, np.uint8), count)
