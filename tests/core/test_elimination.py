"""Sets of columns that leave: what they cost is what a refit loses, the cheapest first, within bounds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import Order, Reader, eliminate, refit
from sim_compress.core.elimination import NONE
from tests.core.problems import row_problems

# The inverse and its updates against fresh Cholesky factors, both with a ridge of 1e-7.
RELATIVE = 1e-4


def reader(seed: int = 0, sets: int = 6, price: float = 1.0) -> Reader:
    """24 features in sets of four, five rows that stay and vary by different amounts."""
    problems = replace(row_problems(seed=seed), row_scale=np.arange(1.0, 6.0))
    return Reader(problems, np.full(5, NONE), np.arange(24) % sets, price)


def loss(r: Reader, gone: np.ndarray) -> float:
    """What a refit without some sets loses, in the rows' own units."""
    support = np.broadcast_to(~gone[r.columns], r.problems.g.shape)
    every = np.ones_like(support)
    lost = r.problems.datafit(refit(r.problems, support)) - r.problems.datafit(refit(r.problems, every))
    return r.price * float((r.problems.row_scale**2 * lost).sum())


@given(seed=st.integers(0, 50), keep=st.integers(1, 24), price=st.floats(0.1, 10.0))
@settings(max_examples=25, deadline=None)
def test_the_error_is_what_a_refit_loses_and_the_count_is_kept(seed, keep, price):
    r = reader(seed, price=price)
    found = eliminate([r], 6, 5 * (1 + keep))
    assert found.error == pytest.approx(loss(r, found.gone), rel=RELATIVE, abs=1e-9)
    assert found.entries == 5 * (1 + 4 * int((~found.gone).sum()))
    assert found.entries - 5 * 4 < 5 * (1 + keep) <= found.entries + 5 * 4


@pytest.mark.parametrize("seed", range(5))
def test_the_first_set_to_leave_is_the_one_that_costs_least(seed):
    r = reader(seed)
    found = eliminate([r], 6, 5 * 21)
    alone = [loss(r, np.arange(6) == s) for s in range(6)]
    np.testing.assert_array_equal(np.flatnonzero(found.gone), [np.argmin(alone)])


def test_sets_leave_where_errors_are_cheap():
    dear, cheap = reader(1, price=1000.0), reader(1)
    cheap = replace(cheap, columns=cheap.columns + 6)
    found = eliminate([dear, cheap], 12, 2 * 5 * 25 - 3 * 5 * 4)
    assert found.gone.sum() == 3
    assert not found.gone[:6].any()


def test_rows_leave_with_their_set_and_cost_nothing():
    r = reader()
    giver = replace(r, rows=np.array([0, 1, 2, 3, 4]), columns=np.full(24, NONE))
    found = eliminate([giver, r], 6, 2 * 5 * 25 - 45)
    gone = np.flatnonzero(found.gone)
    # Four columns of five rows; where the set has a row, 24 columns and the bias.
    assert found.entries == 2 * 5 * 25 - 20 * len(gone) - 25 * (gone < 5).sum()
    assert found.error == pytest.approx(loss(r, found.gone), rel=RELATIVE)
    own = replace(r, rows=np.array([5, 5, 5, 5, NONE]))
    spared = eliminate([own], 6, 21)
    np.testing.assert_array_equal(np.flatnonzero(spared.gone), [5])
    assert spared.error < loss(r, spared.gone)


def test_one_channel_of_every_state_stays():
    found = eliminate([reader()], 6, 0, [np.arange(3), np.arange(3, 6), np.array([NONE, 0])])
    assert found.exhausted
    np.testing.assert_array_equal(np.bincount(np.flatnonzero(~found.gone) // 3), [1, 1])


def test_constant_features_count_as_no_entries():
    r = reader()
    scale = np.where(r.columns == 2, 0.0, r.problems.feature_scale)
    dead = r.columns == 2
    problems = replace(
        r.problems,
        feature_scale=scale,
        H=np.where(dead[:, None] | dead, 0.0, r.problems.H),
        g=np.where(dead, 0.0, r.problems.g),
    )
    found = eliminate([replace(r, problems=problems)], 6, 5 * 21)
    assert not found.gone.any()
    assert found.entries == 5 * 21


def test_families_keep_multiples_of_their_sets():
    families = np.array([0, 0, 0, 0, 1, 1])
    found = eliminate([reader()], 6, 5 * 9, order=Order(families=families, multiple=2))
    assert np.all(np.bincount(families[~found.gone], minlength=2) % 2 == 0)
    assert found.entries == 5 * 9
    uneven = eliminate([reader()], 6, 5 * 21, order=Order(families=np.array([0, 0, 0, 1, 1, 1]), multiple=2))
    assert uneven.gone.sum() == 1
