"""Where the samples of a tensor are: between the axes of the file and the samples in front."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.frontend.axes import Placed
from sim_compress.frontend.axes.numbers import Unknown, sample_count, sample_number, unknowns

TEXTS = {
    "[N, 2, 3]": Placed((1, 2, 3), 0),
    "[2, (N 4), 3]": Placed((2, 4, 3), 1),
    "[2, (4 N), 3]": Placed((2, 4, 3), 1, 4),
    "[(2 N 3)]": Placed((6,), 0, 2),
    "[2, 3]": Placed((2, 3)),
    "[]": Placed(()),
}


@st.composite
def tensors(draw: st.DrawFn) -> Placed:
    """Small shapes with the samples anywhere in them."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    batch = draw(st.integers(0, len(shape) - 1))
    before = draw(st.sampled_from([d for d in range(1, shape[batch] + 1) if shape[batch] % d == 0]))
    return Placed(shape, batch, before)


@pytest.mark.parametrize(("text", "x"), TEXTS.items(), ids=TEXTS)
def test_a_place_reads_as_its_axes(text: str, x: Placed) -> None:
    assert str(x) == text


@given(tensors(), st.integers(1, 4))
def test_samples_come_to_the_front_and_go_back(x: Placed, samples: int) -> None:
    values = np.random.default_rng(0).standard_normal((samples, *x.sample_shape))
    file = x.in_file(values)
    assert file.shape == x.full_shape(samples)
    np.testing.assert_array_equal(x.samples_first(file), values)


@given(tensors())
def test_one_sample_alone_has_its_entries_in_the_order_of_the_file(x: Placed) -> None:
    values = np.arange(np.prod(x.shape)).reshape(x.sample_shape)
    np.testing.assert_array_equal(x.in_file(values[None]).ravel(), values.ravel())


@given(tensors(), st.integers(2, 3))
def test_every_entry_of_the_file_belongs_to_the_sample_that_stands_there(x: Placed, samples: int) -> None:
    numbers = np.broadcast_to(
        np.arange(samples).reshape(-1, *[1] * len(x.sample_shape)), (samples, *x.sample_shape)
    )
    assert x.batch is not None
    along = np.moveaxis(x.in_file(numbers), x.batch, 0)
    expected = [n for _ in range(x.before) for n in range(samples) for _ in range(x.after)]
    for slice_, wanted in zip(along, expected, strict=True):
        assert (slice_ == wanted).all()


def test_an_axis_of_the_samples_alone_is_none_of_one_sample() -> None:
    own, merged = Placed((2, 1, 3), 1), Placed((2, 4, 3), 1)
    assert (own.sample_shape, own.sample_axis(0), own.sample_axis(2)) == ((2, 3), 0, 1)
    assert (merged.sample_shape, merged.sample_axis(1), merged.sample_axis(2)) == ((2, 4, 3), 1, 2)
    assert Placed((2, 3)).sample_shape == (2, 3)
    assert own.sizes == [2, sample_count(), 3]
    assert merged.sizes == [2, sample_count(4), 3]


def test_axes_in_front_move_the_samples_with_their_values() -> None:
    x = Placed((1, 3), 0, numbers=np.arange(3).reshape(1, 3))
    moved = x.behind(2)
    assert (moved.shape, moved.batch, str(moved)) == ((1, 1, 1, 3), 2, "[1, 1, N, 3]")
    assert moved.value is not None
    assert moved.value.shape == moved.shape
    assert x.behind(0) is x


def test_a_value_that_is_equal_for_all_samples_needs_no_place() -> None:
    equal = Placed((1, 2), 0, numbers=np.array([[1, 2]]))
    assert equal.without_samples().batch is None
    counting = Placed((1, 2), 0, numbers=np.array([[sample_number(), 2]], object))
    assert counting.without_samples() is counting
    assert (counting.is_constant, counting.is_known, counting.depends) == (False, True, True)
    np.testing.assert_array_equal(counting.sample_value, [0, 2])


def test_values_that_data_decide_are_not_known() -> None:
    x = Placed((2,), numbers=unknowns((2,)))
    assert (x.is_constant, x.is_known, x.depends) == (False, False, False)
    assert Placed((2,), numbers=unknowns((2,), Unknown(True))).depends
    assert not Placed((2,)).is_known
