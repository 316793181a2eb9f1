"""Moments: independent of batches, and as exact as float32 data allow, whatever means and units are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import Gram
from sim_compress.core.gram import Matrix

# Float64 sums in another order.
ROUNDING = 1e-9
# Float32 products of deviations, relative to the deviations.
PRODUCTS = 1e-6


def data(points: int = 3000, dtype: type = np.float64) -> tuple[np.ndarray, np.ndarray]:
    """Four correlated features and two targets."""
    rng = np.random.default_rng(0)
    S = rng.standard_normal((4, 4)) @ rng.standard_normal((4, points))
    return S.astype(dtype), (rng.standard_normal((2, 4)) @ S + 0.3).astype(dtype)


def gram_of(S: np.ndarray, Z: np.ndarray, cuts: tuple[int, ...] = ()) -> Gram:
    gram = Gram.zeros(len(S), len(Z))
    for part in np.split(np.arange(S.shape[1]), cuts):
        gram.add(S[:, part], Z[:, part])
    return gram


def exact(S: np.ndarray, Z: np.ndarray) -> tuple[Matrix, Matrix]:
    """Scatter and cross moments of the data as they are, in float64."""
    s, z = (a.astype(np.float64) - a.astype(np.float64).mean(axis=1, keepdims=True) for a in (S, Z))
    return s @ s.T, z @ s.T


def assert_close(gram: Gram, S: np.ndarray, Z: np.ndarray, tolerance: float) -> None:
    """Each entry to the tolerance times the product of its two deviations."""
    scatter, cross = exact(S, Z)
    d = np.sqrt(scatter.diagonal())
    t = np.sqrt(np.maximum(gram.target_scatter, np.finfo(np.float64).tiny))
    assert np.abs((gram.scatter - scatter) / np.outer(d, d)).max() < tolerance
    assert np.abs((gram.cross - cross) / np.outer(t, d)).max() < tolerance
    means = S.astype(np.float64).mean(axis=1)
    assert np.abs((gram.feature_mean - means) / np.sqrt(scatter.diagonal() / S.shape[1])).max() < tolerance


@given(cuts=st.lists(st.integers(1, 199), max_size=5, unique=True).map(sorted).map(tuple))
@settings(max_examples=25, deadline=None)
def test_moments_do_not_depend_on_the_batch_split_and_shards_merge(cuts):
    S, Z = data(200)
    whole, split = gram_of(S, Z), gram_of(S, Z, cuts)
    shards = gram_of(S[:, :70], Z[:, :70])
    shards.merge(gram_of(S[:, 70:], Z[:, 70:]))
    for other in (split, shards):
        assert other.points == whole.points
        for name in ("scatter", "cross", "feature_mean", "target_mean", "target_scatter"):
            np.testing.assert_allclose(
                getattr(other, name), getattr(whole, name), rtol=ROUNDING, atol=ROUNDING
            )


@pytest.mark.parametrize("ratio", [0, 1, 1e2, 1e4, 1e6])
@pytest.mark.parametrize("cuts", [(), (1, 64, 700, 2999)])
def test_float32_data_with_means_far_above_their_deviations_lose_no_digit(ratio, cuts):
    S, Z = data()
    S = (S + ratio * S.std(axis=1, keepdims=True) * [[1], [-1], [2], [0.5]]).astype(np.float32)
    Z = (Z + ratio).astype(np.float32)
    assert_close(gram_of(S, Z, cuts), S, Z, PRODUCTS)


@pytest.mark.parametrize("cuts", [(), (64, 700)])
def test_float32_data_of_any_size_neither_overflow_nor_vanish(cuts):
    S, Z = data()
    S = (S * [[1e30], [1e-30], [1e-36], [1.0]]).astype(np.float32)
    assert_close(gram_of(S, Z.astype(np.float32), cuts), S, Z, PRODUCTS)


def test_denormal_data_have_the_moments_of_their_values():
    S, Z = data(dtype=np.float32)
    S[0] = np.float32(1e-45) * np.round(10 * S[0])
    assert_close(gram_of(S, Z), S, Z, PRODUCTS)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e30, 1e-40, 3e38])
@pytest.mark.parametrize("cuts", [(), (1, 64, 700)])
def test_constant_features_and_targets_vary_by_nothing(value, cuts):
    S, Z = data(dtype=np.float32)
    S[2], Z[1] = value, value
    gram = gram_of(S, Z, cuts)
    assert gram.variance[2] == 0
    assert gram.target_variance[1] == 0
    assert np.all(gram.variance[[0, 1, 3]] > 0)
    assert gram.feature_mean[2] == pytest.approx(float(np.float32(value)), rel=1e-12)
    assert not gram.scatter[2].any()


def test_what_flickers_by_one_rounding_counts_as_constant():
    S, Z = data(dtype=np.float32)
    S[1] = np.where(np.arange(S.shape[1]) % 2, np.float32(1), np.nextafter(np.float32(1), np.float32(2)))
    assert gram_of(S, Z).variance[1] == 0


def test_one_point_says_nothing_of_variances():
    S, Z = data(1, np.float32)
    gram = gram_of(S, Z)
    assert not gram.scatter.any()
    assert not gram.variance.any()
    assert not gram.target_variance.any()
    np.testing.assert_array_equal(gram.feature_mean, S[:, 0])


def test_targets_alone_have_the_same_cross_moments():
    S, Z = data(dtype=np.float32)
    whole = gram_of(S, Z, (64, 700))
    alone = Gram.zeros(4, 2, design=False)
    for part in np.split(np.arange(S.shape[1]), (64, 700)):
        alone.merge(Gram.of(S[:, part], Z[:, part], design=False))
    np.testing.assert_array_equal(alone.cross, whole.cross)
    np.testing.assert_array_equal(alone.target_scatter, whole.target_scatter)
    assert not alone.scatter.size


def test_pulled_moments_are_those_of_more_data_points_that_give_the_rows_themselves():
    S, Z = data()
    rows, strength = np.random.default_rng(1).standard_normal((2, 4)), np.array([0.5, 0.0, 2.0, 1.0])
    pulled = gram_of(S, Z).pulled(rows, strength)
    more = np.sqrt(S.shape[1] * strength) * np.eye(4)
    s, z = (a - a.mean(axis=1, keepdims=True) for a in (S, Z))
    s, z = np.hstack([s, more]), np.hstack([z, rows @ more])
    np.testing.assert_allclose(pulled.scatter, s @ s.T, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(pulled.cross, z @ s.T, rtol=ROUNDING, atol=ROUNDING)
    np.testing.assert_allclose(pulled.target_scatter, (z**2).sum(axis=1), rtol=ROUNDING)
    np.testing.assert_array_equal(pulled.target_mean, gram_of(S, Z).target_mean)
    assert pulled.points == S.shape[1]
