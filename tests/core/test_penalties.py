"""Penalties: the prox is the argmin and the conjugate the supremum that their docstrings state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_compress.core import L1, Penalty

GRID = np.linspace(-12, 12, 240_001)
# Half the grid's spacing, times a slope below 13.
GRID_ERROR = 1e-3
knees = st.floats(0.05, 5.0) | st.just(np.inf)


@given(u=st.floats(-10, 10), step=st.floats(0.0, 3.0), knee=knees)
def test_prox_is_the_argmin(u, step, knee):
    penalty = Penalty(knee)
    cost = 0.5 * (GRID - u) ** 2 + step * penalty.value(GRID)
    v = penalty.prox(np.array(u), step)
    assert 0.5 * (v - u) ** 2 + step * penalty.value(v) <= cost.min() + 1e-9
    assert abs(v - GRID[cost.argmin()]) <= GRID_ERROR


@given(q=st.floats(-2, 2), knee=st.floats(0.05, 5.0))
def test_conjugate_is_the_supremum(q, knee):
    penalty = Penalty(knee)
    assert penalty.conjugate(np.array(q)) == pytest.approx(
        (q * GRID - penalty.value(GRID)).max(), abs=GRID_ERROR
    )


@given(v=st.floats(-5, 5), knee=st.floats(0.05, 5.0))
def test_value_is_the_perspective_minimised_over_t(v, knee):
    t = np.linspace(1e-6, 1, 200_001)
    assert Penalty(knee).value(np.array(v)) == pytest.approx(
        ((v**2 / t) / knee + knee * t).min() / 2, rel=1e-3, abs=1e-5
    )


def test_weights_below_the_knee_see_l1():
    v = np.linspace(-1, 1, 101)
    assert np.array_equal(Penalty(1.0).value(v), L1.value(v))
