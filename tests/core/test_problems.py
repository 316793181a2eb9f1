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


@given(cuts=st.lists(st.integers(1, 199), max_size=5, unique=True).map(sorted))
@settings(max_examples=25, deadline=None)
def test_moments_do_not_depend_on_the_batch_split_and_shards_merge(cuts):
    S, _, _, Z = data()
    whole, split = gram_of(S, Z), gram_of(S, Z, cuts)
    shards = gram_of(S[:, :70], Z[:, :70])
    shards.merge(gram_of(S[:, 70:], Z[:, 70:]))
    for other in (split, shards):
        assert other.points == whole.points
        for name in ("second", "cross", "feature_sum", "target_sum", "target_second"):
            np.testing.assert_allclose(
                getattr(other, name), getattr(whole, name), rtol=ROUNDING, atol=ROUNDING
            )


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


def test_constant_features_keep_the_teachers_weight_and_constant_rows_get_none():
    S, W, _, Z = data()
    S[3], Z[1] = 7.0, 2.5
    problems = standardise(gram_of(S, Z), W, 1e-3)
    weights, bias = problems.to_network(refit(problems, np.ones(W.shape, bool)))
    np.testing.assert_allclose(weights[[0, 2, 3], 3], W[[0, 2, 3], 3], atol=1e-4)
    undamped = standardise(gram_of(S, Z), W, 0.0)
    assert not undamped.to_network(refit(undamped, np.ones(W.shape, bool)))[0][:, 3].any()
    assert not weights[1].any()
    assert bias[1] == pytest.approx(2.5)
