"""Values of options: what is accepted means one thing, what is refused says why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.cli.values import channel_values, seed, sparsity
from sim_compress.errors import InputError


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("40", 0.4),
        ("40%", 0.4),
        ("40 %", 0.4),
        ("0.4", 0.4),
        (" 0.4 ", 0.4),
        ("0.4%", 0.004),
        ("1%", 0.01),
        ("1.5", 0.015),
        ("99.9", 0.999),
    ],
)
def test_a_number_above_one_is_a_percentage_and_below_one_a_fraction(text, fraction):
    assert sparsity(text) == pytest.approx(fraction, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", "removes nothing"),
        ("0.0%", "removes nothing"),
        ("1", "1 % or 100 %"),
        ("1.0", "1 % or 100 %"),
        ("100", "leaves nothing"),
        ("100%", "leaves nothing"),
        ("140", "leaves nothing"),
        ("-40", "negative"),
        ("-0.4", "negative"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("half", "not a number"),
        ("", "not a number"),
        ("0,4", "not a number"),
        ("40%%", "not a number"),
    ],
)
def test_other_sparsities_are_refused_with_the_reason(text, reason):
    with pytest.raises(InputError, match=reason) as refused:
        sparsity(text)
    assert f"--target-sparsity {text} " in str(refused.value)


@given(st.floats(0.001, 0.999))
def test_a_fraction_and_its_percentage_mean_the_same(fraction):
    assert sparsity(repr(fraction)) == fraction
    assert sparsity(f"{100 * fraction!r}%") == pytest.approx(fraction, rel=1e-12)


def test_channel_values_are_a_comma_list_of_finite_numbers():
    assert channel_values("0.5") == (0.5,)
    assert channel_values("0.1,-2,3e-1") == (0.1, -2.0, 0.3)
    for text in ("", "1,", "a", "1,nan"):
        with pytest.raises(ValueError, match=r".*"):
            channel_values(text)


def test_a_seed_is_a_whole_number_from_zero():
    assert seed("7") == 7
    for text in ("-1", "1.5", "x"):
        with pytest.raises(ValueError, match=r".*"):
            seed(text)
