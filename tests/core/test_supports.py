"""Refit and polish: supports that do not grow, better fits, exact counts."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import L1, Ball, polish, refit
from tests.core.problems import row_problems


@given(seed=st.integers(0, 50), density=st.floats(0.0, 1.0), radius=st.floats(0.05, 3.0))
@settings(max_examples=40, deadline=None)
def test_refit_keeps_the_support_and_kappa_and_does_not_worsen_the_fit(seed, density, radius):
    problems = row_problems(seed=seed)
    support = np.random.default_rng(seed).random(problems.g.shape) < density
    ball = Ball(np.ones(support.shape), np.full(problems.rows, radius))
    V = refit(problems, support, ball)
    assert not V[~support].any()
    assert np.all(np.abs(V).sum(axis=1) <= radius * (1 + 1e-9))
    shrunk = np.where(support, problems.prior, 0)
    shrunk *= np.minimum(1, radius / np.maximum(np.abs(shrunk).sum(axis=1), 1e-9))[:, None]
    # The ridge on the support's diagonal costs at most 1e-7 of the rows' squared size.
    assert np.all(problems.datafit(V) <= problems.datafit(shrunk) + 1e-5)


def test_constrained_refit_is_the_optimum_on_the_support():
    from tests.core.problems import clarabel_optimum

    problems = row_problems()
    ball = Ball(np.ones(problems.g.shape), np.full(problems.rows, 0.3))
    V = refit(problems, np.ones(problems.g.shape, bool), ball)
    for row in range(problems.rows):
        assert problems.datafit(V)[row] == pytest.approx(
            clarabel_optimum(problems, L1, 0.0, row, ball), rel=1e-5
        )


@pytest.mark.parametrize("count", [1, 20, 60])
def test_polish_keeps_the_count_and_lowers_the_error_of_the_magnitude_support(count):
    problems = row_problems()
    start = problems.prior
    support = polish(problems, start, count)
    assert support.sum() == count
    threshold = np.sort(np.abs(start), axis=None)[-count]
    magnitude = refit(problems, np.abs(start) >= threshold)
    assert problems.datafit(refit(problems, support)).sum() <= problems.datafit(magnitude).sum() + 1e-9


def test_polish_gives_more_entries_to_rows_that_count_more():
    problems = row_problems(rows=4)
    weights = np.array([1.0, 1.0, 1.0, 20.0])
    plain = polish(problems, problems.prior, 24).sum(axis=1)
    weighted = polish(problems, problems.prior, 24, weights=weights).sum(axis=1)
    assert weighted.sum() == 24
    assert weighted[3] > plain[3]


@pytest.mark.parametrize("steps", [300, 1], ids=["done", "left to the factors"])
@pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
def test_many_wide_rows_refitted_together_are_those_of_their_factors(density, steps, monkeypatch):
    problems = row_problems(features=90, rows=140, points=300, damping=0.02)
    support = np.random.default_rng(0).random(problems.g.shape) < density
    one_by_one = refit(problems, support)
    monkeypatch.setattr(sys.modules["sim_compress.core.refit"], "MANY", -1)
    monkeypatch.setattr(sys.modules["sim_compress.core.conjugate"], "STEPS", steps)
    together = refit(problems, support)
    assert not together[~support].any()
    # The residual of a row is 1e-7 of its right-hand side, and the smallest eigenvalue of H about 0.02.
    np.testing.assert_allclose(together, one_by_one, atol=1e-5 * np.abs(one_by_one).max() + 1e-12)
