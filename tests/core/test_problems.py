"""Grams and standard coordinates: independent of batches and units, exact at the teacher's own row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import L1, Gram, refit, solve, standardise

# Float64 sums in another order.
ROUNDING = 1e-9


def data(features=12, rows=4, points=200, seed=0):
    rng = np.random.default_rng(seed)
    S = np.abs(rng.standard_normal((features, points))) + rng.standard_normal((1, points))
    W, b = rng.standard_normal((rows, features)), rng.standard_normal(rows)
    return S, W, b, W @ S + b[:, None]


def gram_of(S, Z, cuts=()):
    gram = Gram.zeros(len(S), len(Z))
    for part in np.split(np.arange(S.shape[1]), cuts):
        gram.add(S[:, part], Z[:, part])
    return gram


def test_the_full_support_gives_back_the_teachers_rows_and_bias():
    S, W, b, Z = data()
    problems = standardise(gram_of(S, Z), W, 0.0)
    weights, bias = problems.to_network(refit(problems, np.ones(W.shape, bool)))
    # The refit's ridge of 1e-7 is all that moves them.
    np.testing.assert_allclose(weights, W, atol=1e-4)
    np.testing.assert_allclose(bias, b, atol=1e-4)


def test_fewer_points_than_features_are_damped_towards_the_teacher():
    S, W, _, Z = data(features=40, points=10)
    problems = standardise(gram_of(S, Z), W, 1.0)
    weights, _ = problems.to_network(refit(problems, np.ones(W.shape, bool)))
    np.testing.assert_allclose(weights, W, atol=1e-4)


@given(unit=st.floats(1e-3, 1e3), row_unit=st.floats(1e-3, 1e3))
@settings(max_examples=25, deadline=None)
def test_supports_do_not_change_with_the_units_of_states_and_rows(unit, row_unit):
    S, W, _, Z = data()
    scaled = S * unit ** np.arange(-1, 2).repeat(4)[:, None]
    plain = solve(standardise(gram_of(S, Z), W, 0.0), L1, 0.05)
    other = solve(standardise(gram_of(scaled, Z * row_unit), W * 0.0, 0.0), L1, 0.05)
    assert np.array_equal(plain.support, other.support)


@pytest.mark.parametrize("ratio", [1.0, 1e3, 1e6])
def test_a_shifted_feature_changes_no_weight_and_the_bias_follows(ratio):
    S, W, _, Z = data()
    shift = ratio * S.std(axis=1)
    plain, shifted = (standardise(gram_of(s, Z), W, 0.1) for s in (S, S + shift[:, None]))
    support = solve(plain, L1, 0.05).support
    assert np.array_equal(solve(shifted, L1, 0.05).support, support)
    (weights, bias), (others, moved) = (p.to_network(refit(p, support)) for p in (plain, shifted))
    np.testing.assert_allclose(others, weights, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(moved + others @ shift, bias, atol=1e-3)


def test_the_bias_takes_up_the_rounding_of_the_weights():
    S, W, _, Z = data()
    problems = standardise(gram_of(S + 1e6, Z), W, 0.0)
    weights, bias = problems.to_network(refit(problems, np.ones(W.shape, bool)))
    given = weights.astype(np.float64) @ (S + 1e6) + bias[:, None]
    np.testing.assert_allclose(given.mean(axis=1), Z.mean(axis=1), atol=1e-6)


def test_few_points_of_features_in_very_different_units_are_damped_alike():
    S, W, _, Z = data(features=40, points=30)
    unit = np.where(np.arange(40) % 2, 1e-6, 1e6)
    plain = standardise(gram_of(S, Z), W, 0.4)
    other = standardise(gram_of(S * unit[:, None], Z), W / unit, 0.4)
    error = []
    for problems, scale in ((plain, 1.0), (other, unit)):
        support = solve(problems, L1, 0.1).support
        weights, bias = problems.to_network(refit(problems, support))
        error.append(np.mean((weights * scale @ S + bias[:, None] - Z) ** 2) / Z.var())
        assert 0.1 < support.mean() < 0.9
    # Damping alone knows what a feature has in common with the others.
    assert error[1] < 2 * error[0]


def test_constant_features_and_rows_keep_the_teachers_weights_where_damped():
    S, W, _, Z = data()
    S[3], Z[1] = 7.0, 2.5
    problems = standardise(gram_of(S, Z), W, 1e-3)
    weights, bias = problems.to_network(refit(problems, np.ones(W.shape, bool)))
    np.testing.assert_allclose(weights[:, 3], W[:, 3], atol=1e-4)
    # What the row gives is its constant all the same.
    np.testing.assert_allclose(weights[1] @ S + bias[1], 2.5, atol=0.05)


def test_constant_features_and_rows_get_no_weight_where_nothing_is_damped():
    S, W, _, Z = data()
    S[3], Z[1] = 7.0, 2.5
    undamped = standardise(gram_of(S, Z), W, 0.0)
    weights, bias = undamped.to_network(refit(undamped, np.ones(W.shape, bool)))
    assert not weights[:, 3].any()
    assert not weights[1].any()
    assert bias[1] == pytest.approx(2.5)


@pytest.mark.parametrize("points", [1, 2, 50])
@pytest.mark.parametrize("value", [0.0, 1e-40, 0.5, 1e30])
def test_where_nothing_varies_the_largest_of_the_teachers_weights_are_the_first(points, value):
    S = np.full((6, points), value, np.float32)
    W = np.arange(1.0, 13.0).reshape(2, 6)
    problems = standardise(gram_of(S, (W @ S).astype(np.float32)), W, 0.5)
    sizes = np.abs(solve(problems, L1, 0.05).rows)
    assert np.all(np.diff(sizes, axis=1) > 0)
    weights, bias = problems.to_network(refit(problems, np.ones(W.shape, bool)))
    np.testing.assert_allclose(weights, W, rtol=1e-5)
    np.testing.assert_allclose(bias, 0.0, atol=1e-5 * float(W.sum()) * value)
