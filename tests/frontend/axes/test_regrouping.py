"""Where the samples are behind a Reshape: compared with the numbers of the samples, reshaped."""

from math import prod

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sim_compress.frontend.axes import Placed
from sim_compress.frontend.axes.numbers import Number, Unknown, sample_count
from sim_compress.frontend.axes.regrouping import (
    Place,
    full_sizes,
    places,
    regrouped,
    reshaped_constant,
    shown,
)
from sim_compress.frontend.refusal import RefusalError
from tests.frontend.axes.test_placed import tensors


def _numbers(x: Placed, samples: int) -> np.ndarray:
    """The number of its sample, for every entry of the file."""
    own = np.arange(samples).reshape(-1, *[1] * len(x.sample_shape))
    return x.in_file(np.broadcast_to(own, (samples, *x.sample_shape)))


def _divisors(size: int) -> list[int]:
    return [d for d in range(1, size + 1) if size % d == 0]


def _by_trial(x: Placed, shape: tuple[int, ...], axis: int, samples: int) -> set[Place]:
    """The places in an axis that give the samples their own entries."""
    full = tuple(s * samples if i == axis else s for i, s in enumerate(shape))
    wanted = _numbers(x, samples).reshape(full)
    tried = [(b, Placed(shape, axis, b)) for b in _divisors(shape[axis])]
    return {
        Place(axis, b, shape[axis] // b) for b, y in tried if np.array_equal(_numbers(y, samples), wanted)
    }


@st.composite
def shapes_of(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """A shape of so many entries."""
    sizes = []
    while len(sizes) < 4 and draw(st.booleans()):
        sizes.append(draw(st.sampled_from(_divisors(size))))
        size //= sizes[-1]
    at = draw(st.integers(0, len(sizes)))
    return (*sizes[:at], size, *sizes[at:])


def _found(x: Placed, sizes: list[Number], samples: int | None) -> list[Place]:
    try:
        return places(x, sizes, samples)
    except RefusalError:
        return []


@given(st.data(), tensors())
def test_an_open_batch_goes_where_the_target_names_it_or_nowhere(data: st.DataObject, x: Placed) -> None:
    shape = data.draw(shapes_of(prod(x.shape)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes: list[Number] = [sample_count(s) if i == axis else s for i, s in enumerate(shape)]
    found = _found(x, sizes, None)
    assert len(found) <= 1
    for samples in (2, 3):
        assert set(found) == _by_trial(x, shape, axis, samples)


@given(st.data(), tensors(), st.integers(2, 4))
def test_a_fixed_batch_of_several_goes_to_the_one_axis_that_holds_it(
    data: st.DataObject, x: Placed, samples: int
) -> None:
    full = data.draw(shapes_of(prod(x.shape) * samples))
    found = _found(x, list(full), samples)
    shapes = [(a, (*full[:a], s // samples, *full[a + 1 :])) for a, s in enumerate(full) if s % samples == 0]
    assert set(found) == {p for a, shape in shapes for p in _by_trial(x, shape, a, samples)}
    assert len(found) <= 1


@given(st.data(), tensors())
def test_a_batch_of_one_may_go_to_every_axis_that_could_hold_more(data: st.DataObject, x: Placed) -> None:
    """What a batch of one allows is what a batch of two would, were it written in its place."""
    shape = data.draw(shapes_of(prod(x.shape)))
    found = _found(x, list(shape), 1)
    assert set(found) == {p for a in range(len(shape)) for p in _by_trial(x, shape, a, 2)}
    # An axis of their own comes first.
    assert [p.is_merged for p in found] == sorted(p.is_merged for p in found)


def test_a_batch_of_one_goes_first_to_the_neighbour_whose_size_changes() -> None:
    """(T, 1, H d) to (T, H, d): the samples stand beside the heads, not beside the steps."""
    x = Placed((5, 1, 6), 1)
    first, *others = places(x, [5, 3, 2], 1)
    assert first == Place(1, 1, 3)
    assert others == [Place(0, 5, 1)]
    # (1, T, E) to (T, E) has one choice.
    assert places(Placed((1, 5, 6), 0), [5, 6], 1) == [Place(0, 1, 5)]


@given(st.data(), tensors(), st.integers(1, 3))
def test_values_go_along_with_their_place(data: st.DataObject, x: Placed, samples: int) -> None:
    shape = data.draw(shapes_of(prod(x.shape)))
    axis = data.draw(st.integers(0, len(shape) - 1))
    sizes: list[Number] = [sample_count(s) if i == axis else s for i, s in enumerate(shape)]
    found = _found(x, sizes, None)
    assume(found)
    values = np.random.default_rng(0).standard_normal((samples, *x.sample_shape))
    y = regrouped(x.valued(np.arange(prod(x.shape)).reshape(x.shape)), sizes, found[0])
    reshaped = x.in_file(values).reshape(y.full_shape(samples))
    np.testing.assert_array_equal(y.samples_first(reshaped), values.reshape(samples, *y.sample_shape))
    assert y.value is not None
    np.testing.assert_array_equal(y.value.ravel(), np.arange(prod(x.shape)))


N = sample_count()
TARGETS = {
    "copied axes": (Placed((1, 4, 6), 0), [0, -1, 2], None, [N, 12, 2]),
    "a rest of samples": (Placed((1, 4, 6), 0), [-1, 6], None, [sample_count(4), 6]),
    "a rest beside samples": (Placed((4, 6), 0), [N, -1], None, [N, 24]),
    "a fixed batch": (Placed((1, 4, 6), 0), [-1, 4, 3], 5, [10, 4, 3]),
    "no samples": (Placed((4, 6)), [3, -1], None, [3, 8]),
}


@pytest.mark.parametrize(("x", "target", "samples", "wanted"), TARGETS.values(), ids=TARGETS)
def test_open_sizes_of_a_target_are_worked_out(
    x: Placed, target: list[Number], samples: int | None, wanted: list[Number]
) -> None:
    assert full_sizes(x, target, samples, False) == wanted


def test_a_zero_is_a_size_where_the_node_says_so() -> None:
    assert full_sizes(Placed((1, 4), 0), [0, 4], None, True) == [0, 4]


MIXED = {
    "which (1, 4, 6) has not|copies axis 3": (Placed((1, 4), 0), [1, 4, 1, 0], None),
    "depends on the values": (Placed((1, 4), 0), [Unknown(), 4], None),
    "4 N entries do not divide by N N": (Placed((1, 4), 0), [N * N, -1], None),
    "4 N entries do not divide by 3": (Placed((1, 4), 0), [3, -1], None),
}


@pytest.mark.parametrize(("reason", "case"), MIXED.items(), ids=MIXED)
def test_targets_that_do_not_follow_are_refused(reason: str, case: tuple) -> None:
    x, target, samples = case
    with pytest.raises(RefusalError, match=reason):
        full_sizes(x, target, samples, False)


def test_targets_without_a_place_for_the_samples_are_refused() -> None:
    x = Placed((1, 4, 6), 0)
    with pytest.raises(
        RefusalError, match=r"its target \(24, 1\) has no place for the batch axis of \[N, 4, 6\]"
    ):
        places(x, [24, 1], None)
    with pytest.raises(RefusalError, match=r"its target \(4, N, 6\) mixes the batch axis of \[N, 4, 6\]"):
        places(x, [4, N, 6], None)
    with pytest.raises(RefusalError, match=r"its target \(N, N, 24\)"):
        places(x, [N, N, 24], None)
    with pytest.raises(RefusalError, match="does not hold the entries"):
        regrouped(x, [N, 12], Place(0, 1, 1))


def test_a_constant_is_reshaped_as_it_is() -> None:
    value = np.arange(24).reshape(4, 6)
    y = reshaped_constant(Placed((4, 6), numbers=value), [2, 12])
    assert y.batch is None
    np.testing.assert_array_equal(y.value, value.reshape(2, 12))
    with pytest.raises(RefusalError, match="has a batch axis, and"):
        reshaped_constant(Placed((4, 6), numbers=value), [N, 24])
    with pytest.raises(RefusalError, match="does not hold the entries"):
        reshaped_constant(Placed((4, 6), numbers=value), [5, 5])
    assert shown([N, 3]) == "(N, 3)"
