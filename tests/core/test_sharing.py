"""Nonzeros shared out by output error: exact counts, the least sum, sensible ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.core import Curve, share


def exponential(size: int, height: float, rate: float) -> Curve:
    """Error height * exp(-rate * density), measured at three levels."""
    counts = size * np.array([0.1, 0.3, 0.6])
    return Curve(size, counts, height * np.exp(-rate * counts / size))


@given(
    curves=st.lists(
        st.builds(exponential, st.integers(1, 5000), st.floats(1e-6, 10), st.floats(1, 30)),
        min_size=1,
        max_size=6,
    ),
    part=st.floats(0, 1),
)
def test_shares_sum_to_the_count_and_fit_into_their_blocks(curves, part):
    total = sum(c.size for c in curves)
    count = round(part * total)
    shares = share(curves, count)
    assert sum(shares) == count
    assert all(0 <= s <= c.size for s, c in zip(shares, curves, strict=True))


def test_two_blocks_share_where_their_marginal_errors_meet():
    left, right = exponential(4000, 1.0, 8.0), exponential(4000, 0.1, 8.0)
    a, b = share([left, right], 4000)
    # Marginals meet where the heights differ by exp(8 (a - b) / 4000): a - b = 500 ln 10.
    assert a - b == pytest.approx(500 * np.log(10), abs=2 * 4000 / 400)


def test_no_other_split_of_two_blocks_has_a_smaller_error():
    left, right = exponential(1000, 2.0, 12.0), exponential(3000, 0.5, 5.0)
    a, _ = share([left, right], 1600)
    splits = np.arange(10, 1000)
    sums = left.at(splits.astype(float)) + right.at(np.asarray(1600 - splits, np.float64))
    chosen = left.at(np.array([float(a)])) + right.at(np.array([1600.0 - a]))
    # Offers are steps of a four hundredth of a block.
    assert chosen[0] <= sums.min() * 1.05


def test_a_block_without_rows_gets_nothing_and_one_level_is_enough_for_another():
    nothing = Curve(0, np.zeros(0), np.zeros(0))
    once = Curve(100, np.array([50.0]), np.array([0.1]))
    assert share([nothing, once], 40) == (0, 40)


def test_errors_that_rise_with_the_count_are_taken_as_noise():
    noisy = Curve(100, np.array([10.0, 20.0, 40.0]), np.array([0.1, 0.2, 0.01]))
    assert np.all(np.diff(noisy.at(np.array([5.0, 12.0, 18.0, 30.0, 60.0, 100.0]))) <= 0)
