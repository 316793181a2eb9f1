"""Numbers of shape arithmetic: what is computed for every batch at once is what each batch gives."""

import operator
from collections.abc import Callable
from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.frontend.axes.numbers import (
    ARITHMETIC,
    Number,
    Polynomial,
    Unknown,
    any_depends,
    at_first,
    chosen,
    compared,
    depends,
    divided,
    is_constant,
    is_known,
    objects,
    remainder,
    sample_count,
    sample_number,
    tidied,
    unknowns,
)

# Every sample of some batches.
PLACES = [(samples, sample) for samples in (1, 2, 3, 5, 8) for sample in range(samples)]
small = st.integers(-6, 6)


@st.composite
def numbers(draw: st.DrawFn, linear: bool = False) -> Number:
    """c + a N + b n, with N n, N^2 and n^2 too where not linear."""
    total: Number = draw(small) + draw(small) * sample_count() + draw(small) * sample_number()
    if not linear and draw(st.booleans()):
        powers = [sample_count() * sample_number(), sample_count() * sample_count()]
        total = total + draw(small) * draw(st.sampled_from(powers))
    return total


def at(number: Number, samples: int, sample: int) -> Any:
    assert not isinstance(number, Unknown)
    return number.at(samples, sample) if isinstance(number, Polynomial) else number


@pytest.mark.parametrize("combine", [operator.add, operator.sub, operator.mul])
@given(a=numbers(), b=numbers())
def test_arithmetic_holds_in_every_batch(combine: Callable[[Any, Any], Any], a: Number, b: Number) -> None:
    found = combine(a, b)
    for place in PLACES:
        assert at(found, *place) == combine(at(a, *place), at(b, *place))


@given(numbers())
def test_a_number_less_itself_is_nothing(a: Number) -> None:
    zero = a - a  # pyright: ignore[reportOperatorIssue]
    assert zero == 0
    assert not isinstance(zero, Polynomial)


def _truncated(a: int, b: int) -> int:
    """a / b rounded towards zero, as C and ONNX divide whole numbers."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


@given(a=numbers(), b=st.one_of(numbers(), small.filter(bool)))
def test_quotients_that_are_given_hold_in_every_batch(a: Number, b: Number) -> None:
    found = divided(a, b)
    if isinstance(found, Unknown):
        assert found.by_sample or b == 0
        return
    for place in PLACES:
        if at(b, *place):
            assert at(found, *place) == _truncated(at(a, *place), at(b, *place))


@given(a=numbers(linear=True), factor=st.integers(1, 9))
def test_products_divide_by_their_factors(a: Number, factor: int) -> None:
    assert divided(a * factor, factor) == a
    assert divided(a * sample_count(factor), sample_count()) == a * factor
    assert remainder(a * sample_count(factor), sample_count(factor)) == 0


@given(a=numbers(), b=st.one_of(numbers(), small.filter(bool)))
def test_remainders_that_are_given_hold_in_every_batch(a: Number, b: Number) -> None:
    found = remainder(a, b)
    if isinstance(found, Unknown):
        return
    for place in PLACES:
        if at(b, *place):
            assert at(found, *place) == at(a, *place) % at(b, *place)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Less": operator.lt,
    "LessOrEqual": operator.le,
    "Greater": operator.gt,
    "GreaterOrEqual": operator.ge,
    "Equal": operator.eq,
}


@pytest.mark.parametrize("name", COMPARISONS)
@given(a=numbers(), b=numbers())
def test_comparisons_that_are_decided_hold_in_every_batch(name: str, a: Number, b: Number) -> None:
    verdict = compared(name, a, b)
    if isinstance(verdict, Unknown):
        assert verdict.by_sample
        return
    differs = a - b  # pyright: ignore[reportOperatorIssue]
    if name == "Equal" and isinstance(differs, Polynomial) and not any(n for (_, n), _ in differs.terms):
        # A number of samples is taken for no number in particular, whatever batch happens to have it.
        assert verdict is False or all(at(a, *p) == at(b, *p) for p in PLACES)
        return
    for place in PLACES:
        assert verdict == COMPARISONS[name](at(a, *place), at(b, *place))


@pytest.mark.parametrize("name", COMPARISONS)
@given(a=numbers(linear=True))
def test_linear_comparisons_with_zero_are_decided_where_they_hold_everywhere(name: str, a: Number) -> None:
    corners = {COMPARISONS[name](at(a, n, i), 0) for n in range(1, 200) for i in {0, n - 1}}
    verdict = compared(name, a, 0)
    if len(corners) == 1 and name != "Equal":
        assert verdict in corners


@pytest.mark.parametrize("name", COMPARISONS)
@given(base=numbers(linear=True), low=small, width=st.integers(0, 4), other=numbers(linear=True))
def test_comparisons_of_bounded_unknowns_hold_for_all_that_they_can_be(
    name: str, base: Number, low: int, width: int, other: Number
) -> None:
    assert isinstance(base, int | Polynomial)
    ranged = Unknown(depends(base), base, low, low + width)
    for flipped in (False, True):
        a, b = (other, ranged) if flipped else (ranged, other)
        verdict = compared(name, a, b)
        if isinstance(verdict, Unknown):
            continue
        for place, value in product(PLACES, range(low, low + width + 1)):
            one = at(base, *place) + value
            left, right = (at(other, *place), one) if flipped else (one, at(other, *place))
            if name == "Equal" and verdict is False and not isinstance(base + value - other, int):
                # As above: which number of samples there is decides nothing.
                continue
            assert verdict == COMPARISONS[name](left, right)


@given(base=st.integers(-9, 9), low=small, width=st.integers(0, 4), added=small)
def test_bounds_move_with_what_is_added(base: int, low: int, width: int, added: int) -> None:
    ranged = Unknown(False, base, low, low + width)
    for found in (ranged + added, added + ranged):
        assert found == Unknown(False, base + added, low, low + width)
    assert ranged - added == Unknown(False, base - added, low, low + width)


@pytest.mark.parametrize("combine", [operator.add, operator.sub, operator.mul])
@pytest.mark.parametrize("other", [sample_count(), sample_number(2), Unknown(True)])
def test_what_is_unknown_keeps_that_samples_have_a_part_in_it(
    combine: Callable[[Any, Any], Any], other: Number
) -> None:
    for found in (combine(Unknown(), other), combine(other, Unknown())):
        assert isinstance(found, Unknown)
        assert found.by_sample
    assert not combine(Unknown(), 2.0).by_sample


def test_a_negated_bounded_unknown_has_no_bounds_left() -> None:
    ranged = Unknown(False, 3, 0, 5)
    for found in (-ranged, 1 - ranged, ranged + Unknown(False, 1, 0, 1)):
        assert found == Unknown(False)


def test_a_choice_by_what_is_unknown_is_unknown_and_keeps_the_part_of_samples() -> None:
    assert chosen(True, sample_count(), 3) == sample_count()
    assert chosen(False, sample_count(), 3) == 3
    assert chosen(Unknown(), 1, 2) == Unknown(False)
    assert chosen(Unknown(), 1, sample_number()) == Unknown(True)
    assert chosen(Unknown(True), 1, 2) == Unknown(True)


def test_largest_and_smallest_of_sample_counts_are_decided() -> None:
    n = sample_count()
    largest, smallest = (cast("Callable[[Number, Number], Number]", ARITHMETIC[k]) for k in ("Max", "Min"))
    assert largest(n, 1) == n
    assert smallest(n, 1) == 1
    assert largest(sample_number(), n) == n
    assert isinstance(largest(n, 2), Unknown)
    assert largest(Unknown(False, 5, 0, 3), 4) == Unknown(False, 5, 0, 3)


def test_division_of_plain_numbers_is_that_of_onnx() -> None:
    assert [divided(a, b) for a, b in ((7, 2), (-7, 2), (7, -2), (-7, -2), (6, 3))] == [3, -3, -3, 3, 2]
    assert divided(7.0, 2) == 3.5
    assert isinstance(divided(1, 0), Unknown)
    assert isinstance(remainder(1, 0), Unknown)
    assert isinstance(divided(sample_count(), 2), Unknown)
    assert divided(sample_count(6), 2) == sample_count(3)


@pytest.mark.parametrize(
    "number", [sample_count(), sample_number(3), sample_count(2) + 1, sample_count() * 0.5]
)
def test_numbers_say_what_they_are(number: Number) -> None:
    text = {sample_count(): "N", sample_number(3): "3 n", sample_count(2) + 1: "2 N + 1"}
    assert str(number) == text.get(number, "0.5 N")


def test_arrays_are_tidied_to_the_types_of_their_numbers() -> None:
    assert tidied(np.array([1, 2], object)).dtype == np.int64
    assert tidied(np.array([True, False], object)).dtype == bool
    assert tidied(np.array([1, 2.5], object)).dtype == np.float32
    assert tidied(np.array([1, sample_count()], object)).dtype == object
    assert tidied(np.array([1], np.int8)).dtype == np.int8


def test_the_first_of_one_sample_has_plain_numbers() -> None:
    values = np.array([sample_count(3), sample_number(5) + 2, 7], object)
    np.testing.assert_array_equal(at_first(values), [3, 2, 7])
    assert at_first(values).dtype == np.int64
    plain = np.array([1.5], np.float32)
    assert at_first(plain) is plain


def test_arrays_know_what_is_in_them() -> None:
    known, open_ = np.array([1, sample_count()], object), unknowns((2,))
    assert (is_known(known), is_constant(known), any_depends(known)) == (True, False, True)
    assert (is_known(open_), is_constant(open_), any_depends(open_)) == (False, False, False)
    assert any_depends(unknowns((1,), Unknown(True)))
    assert not any_depends(None)
    assert is_constant(np.zeros(3))
    assert objects(np.array([1, 2])).dtype == object
