"""Values of options: what is accepted means one thing, what is refused says why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.cli.values import MOST_LEVELS, channel_values, levels, points, seed, sparsity, targets_of
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20:95:5", [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]),
        ("20%:40%:10%", [0.2, 0.3, 0.4]),
        ("0.2:0.4:0.1", [0.2, 0.3, 0.4]),
        ("90:91:0.5", [0.9, 0.905, 0.91]),
        ("0.5:2:0.5", [0.005, 0.01, 0.015, 0.02]),
        ("20:50:20", [0.2, 0.4]),
        ("40:40:5", [0.4]),
        (" 20 : 40 : 20 ", [0.2, 0.4]),
        ("60,20,40", [0.2, 0.4, 0.6]),
        ("0.2, 40%, 60", [0.2, 0.4, 0.6]),
        ("40", [0.4]),
    ],
)
def test_levels_are_a_range_or_a_list_in_ascending_order(text, expected):
    # The very floats of single targets: a level of a sweep is a run of its own.
    assert list(levels(text)) == expected


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2))
def test_the_end_of_a_range_is_its_last_level_whatever_the_step(steps, width, decimals):
    step = width / 10**decimals
    if steps * step >= 99:
        return
    found = levels(f"{step!r}:{round(steps * step, 6)!r}:{step!r}%")
    assert len(found) == steps
    assert found[-1] == pytest.approx(steps * step / 100, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("20:95", "is no range"),
        ("20:95:5:1", "is no range"),
        ("20:95:", "not a number"),
        ("a:95:5", "not a number"),
        ("20:nan:5", "not a number"),
        ("20:95:0", "does not advance"),
        ("20:95:-5", "does not advance"),
        ("95:20:5", "runs backwards"),
        ("20:0.95:5", "runs backwards"),
        ("0:95:5", "begin above 0 %"),
        ("-5:95:5", "begin above 0 %"),
        ("20:100:5", "leaves nothing"),
        ("0.2:1:0.1", "1 % or 100 %"),
        ("20:95:0.001", f"at most {MOST_LEVELS}"),
        ("20,20%", "has a level twice"),
        ("20,,40", "not a number"),
        ("20,100", "leaves nothing"),
        ("20,1", "1 % or 100 %"),
        ("", "not a number"),
    ],
)
def test_other_sweeps_are_refused_with_the_reason(text, reason):
    with pytest.raises(InputError, match=reason) as refused:
        levels(text)
    assert str(refused.value).startswith(f"--sweep {text} ")


def test_a_drop_is_in_points():
    assert [points(text) for text in ("0.5", "0.5%", "0", "12 %")] == [0.005, 0.005, 0.0, 0.12]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("-1", "from 0"), ("100", "from 0"), ("nan", "not a number"), ("few", "not a number")],
)
def test_other_drops_are_refused(text, reason):
    with pytest.raises(InputError, match=rf"--max-drop {text} .*{reason}"):
        points(text)


def test_targets_have_at_most_one_part_without_a_pattern():
    assert targets_of([("a", 0.3)]) == (None, {"a": 0.3})
    assert targets_of([(None, 0.4), ("a", 0.3)]) == (0.4, {"a": 0.3})
    with pytest.raises(InputError, match=r"got 2: .*--sweep for several"):
        targets_of([(None, 0.4), (None, 0.5)])
