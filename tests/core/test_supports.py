"""Refit and polish: supports that do not grow, better fits, exact counts."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import L1, Ball, Gram, largest, polish, refit, standardise
from tests.core.problems import ball_of, row_problems

polishing = sys.modules["sim_compress.core.polish"]


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


@pytest.mark.parametrize("density", [0.1, 0.5, 0.9])
def test_rows_that_only_measure_a_support_cost_what_its_refit_does(density, monkeypatch):
    monkeypatch.setattr(sys.modules["sim_compress.core.refit"], "FEW", -1)
    problems = row_problems(features=90, rows=70, points=300, damping=0.02)
    support = np.random.default_rng(0).random(problems.g.shape) < density
    rough = refit(problems, support, rough=True)
    assert not rough[~support].any()
    least, measured = (problems.datafit(V) for V in (refit(problems, support), rough))
    assert np.all(measured >= least - 1e-9)
    np.testing.assert_allclose(measured.sum(), least.sum(), rtol=5e-3)


def test_rows_that_the_teacher_has_exactly_are_measured_as_exact(monkeypatch):
    monkeypatch.setattr(sys.modules["sim_compress.core.refit"], "FEW", -1)
    problems = row_problems(features=40, rows=70, damping=0.02)
    support = np.random.default_rng(0).random(problems.g.shape) < 0.5
    prior = np.where(support, problems.prior, 0.0)
    g = prior @ problems.H
    exact = replace(problems, prior=prior, g=g, c=np.einsum("rj,rj->r", g, prior))
    assert np.abs(exact.datafit(refit(exact, support, rough=True))).max() < 1e-9


@pytest.mark.parametrize("rough", [False, True])
@pytest.mark.parametrize("alike", [0.0, 1e-9, 1e-4])
def test_features_that_are_the_same_leave_no_row_without_its_fit(alike, rough, monkeypatch):
    rng = np.random.default_rng(0)
    S = rng.standard_normal((20, 300))
    S[10:] = S[:10] + alike * S[10:]
    W = rng.standard_normal((70, 20))
    gram = Gram.zeros(20, 70)
    gram.add(S, W @ S)
    problems = standardise(gram, W, 0.0)
    support = rng.random(W.shape) < 0.7
    factors = problems.datafit(refit(problems, support))
    for name in ("MANY", "FEW"):
        monkeypatch.setattr(sys.modules["sim_compress.core.refit"], name, -1)
    V = refit(problems, support, rough=rough)
    assert np.isfinite(V).all()
    assert not V[~support].any()
    start = problems.datafit(np.where(support, problems.prior, 0.0))
    slack = 1e-2 * (start - factors) if rough else 1e-5 * problems.c
    assert np.all(problems.datafit(V) <= factors + slack + 1e-6)


@pytest.mark.parametrize("count", [30, 120, 400])
def test_supports_of_a_search_in_float32_fit_like_those_of_one_in_float64(count):
    problems = row_problems(features=40, rows=20)
    values, Q = np.linalg.eigh(problems.H)
    Z, U, rho = problems.prior, np.zeros_like(problems.prior), polishing.FIRST_RHO
    for _ in range(polishing.ROUNDS):
        V = ((problems.g @ Q + rho * ((Z - U) @ Q)) / (np.maximum(values, 0) + rho)) @ Q.T + U
        Z = np.where(largest(V, count), V, 0.0)
        U, rho = (V - Z) / polishing.GROWTH, rho * polishing.GROWTH
    double = problems.datafit(refit(problems, Z != 0)).sum()
    single = problems.datafit(refit(problems, polish(problems, problems.prior, count))).sum()
    assert single == pytest.approx(double, rel=5e-3)


@pytest.mark.parametrize("part", [0.1, 0.5])
def test_the_shorter_search_of_large_blocks_finds_supports_that_fit_as_well(part, monkeypatch):
    problems = row_problems(features=60, rows=200, points=600, damping=0.02)
    count = int(part * problems.g.size)
    searches = []
    for size in (problems.g.size, problems.g.size + 1):
        monkeypatch.setattr(polishing, "LARGE", size)
        support = polish(problems, problems.prior, count)
        assert support.sum() == count
        searches.append(problems.datafit(refit(problems, support)).sum())
    large, small = searches
    assert large == pytest.approx(small, rel=5e-3)


@pytest.mark.parametrize("bounded", [False, True])
def test_rows_without_a_bias_are_least_squares_through_the_origin(bounded):
    rng = np.random.default_rng(0)
    S = np.maximum(rng.standard_normal((10, 400)) + 0.5, 0)
    W = rng.standard_normal((4, 10))
    Z = W @ S + 0.3 * rng.standard_normal((4, 400)) + 1.0
    gram = Gram.zeros(10, 4)
    gram.add(S, Z)
    problems = standardise(gram, W, 0.0)
    support = rng.random((4, 10)) < 0.6
    biased = np.array([True, False, True, False])
    ball = ball_of(problems, 1e6) if bounded else None
    weights, bias = problems.to_network(refit(problems, support, ball, biased), biased)
    assert (bias != 0).tolist() == biased.tolist()
    for row in range(4):
        design = S[support[row]] if not biased[row] else np.vstack([S[support[row]], np.ones(400)])
        expected = np.linalg.lstsq(design.T, Z[row], rcond=None)[0]
        np.testing.assert_allclose(weights[row, support[row]], expected[: support[row].sum()], atol=1e-4)


def test_a_row_without_a_bias_keeps_its_ball():
    problems = row_problems()
    support = np.ones(problems.g.shape, bool)
    biased = np.zeros(problems.rows, bool)
    free = refit(problems, support, None, biased)
    ball = ball_of(problems, 0.5 * float((ball_of(problems, 1.0).weights * np.abs(free)).sum(axis=1).min()))
    V = refit(problems, support, ball, biased)
    assert ((ball.weights * np.abs(V)).sum(axis=1) <= ball.radius * (1 + 1e-9)).all()
    origin = problems.through_origin()
    # No better row lies on the way to the free one.
    for part in (0.9, 0.99):
        other = part * V
        assert (origin.datafit(V) <= origin.datafit(other) + 1e-9).all()


def test_with_the_constant_as_a_feature_the_datafit_is_that_of_rows_with_their_bias():
    problems = row_problems()
    V = refit(problems, np.abs(problems.prior) > 0.1)
    m, mu = problems.means
    whole = np.column_stack([V, mu - V @ m])
    np.testing.assert_allclose(problems.with_constant().datafit(whole), problems.datafit(V), rtol=1e-9)
    without = np.column_stack([V, np.zeros(len(V))])
    np.testing.assert_allclose(
        problems.with_constant().datafit(without), problems.through_origin().datafit(V), rtol=1e-9
    )
    weights, bias = problems.with_constant().to_network(whole)
    np.testing.assert_allclose(weights[:, :-1], problems.to_network(V)[0])
    # As a weight it is rounded to float32.
    np.testing.assert_allclose(weights[:, -1], problems.to_network(V)[1], rtol=1e-6)
    assert not bias.any()
