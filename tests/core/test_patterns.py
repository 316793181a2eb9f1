"""Projections onto patterns: the best mask there is, exact counts, nothing moved the second time."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import Projection, Quota, Tied, WithBias, largest, polish, refit
from tests.core.problems import row_problems


def kept(V: np.ndarray, mask: np.ndarray) -> float:
    return float((V[mask] ** 2).sum())


def some(seed: int, rows: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, features))


@given(seed=st.integers(0, 1000), features=st.integers(1, 7), groups=st.integers(1, 3), n=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_quota_keeps_the_best_entries_of_every_group_of_a_row(seed, features, groups, n):
    columns = np.random.default_rng(seed).integers(0, groups, features)
    V, quota = some(seed, 2, features), Quota(columns, n)
    mask = quota(V, V.size)
    assert mask.sum() == 2 * np.minimum(np.bincount(columns), n).sum()
    for row, number in product(range(2), np.unique(columns)):
        own = np.flatnonzero(columns == number)
        best = max(sum(V[row, list(c)] ** 2) for c in combinations(own, min(n, len(own))))
        assert kept(V[row, own], mask[row, own]) == pytest.approx(best)


@given(seed=st.integers(0, 1000), count=st.integers(0, 8))
@settings(max_examples=30, deadline=None)
def test_a_quota_with_a_smaller_count_is_the_best_mask_of_both(seed, count):
    V, columns = some(seed, 2, 4), np.array([0, 0, 1, 1])
    masks = np.array(list(product((False, True), repeat=8))).reshape(-1, 2, 4)
    within = [m for m in masks if m.sum() <= count and m.reshape(2, 2, 2).sum(axis=2).max() <= 1]
    mask = Quota(columns, 1)(V, count)
    assert mask.sum() == min(count, 4)
    assert kept(V, mask) == pytest.approx(max(kept(V, m) for m in within))


@given(seed=st.integers(0, 1000), count=st.integers(0, 12), r=st.integers(1, 2), c=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_tiles_of_one_size_are_the_best_that_fit(seed, count, r, c):
    V = some(seed, 2 * r, 2 * c)
    mask = Tied(np.arange(2 * r) // r, np.arange(2 * c) // c)(V, count)
    tiles = mask.reshape(2, r, 2, c).swapaxes(1, 2).reshape(4, -1)
    assert np.all(tiles.all(axis=1) == tiles.any(axis=1))
    assert mask.sum() == min(count // (r * c), 4) * r * c
    energies = np.sort((V**2).reshape(2, r, 2, c).sum(axis=(1, 3)), axis=None)[::-1]
    assert kept(V, mask) == pytest.approx(energies[: count // (r * c)].sum())


@given(seed=st.integers(0, 1000), count=st.integers(0, 21))
@settings(max_examples=60, deadline=None)
def test_short_tiles_fill_what_is_left_and_nothing_that_fits_is_left_out(seed, count):
    V, rows, columns = some(seed, 3, 7), np.array([0, 0, 1]), np.array([0, 0, 0, 1, 1, 1, 2])
    mask = Tied(rows, columns)(V, count)
    assert mask.sum() <= count
    left = [(rows == i)[:, None] & (columns == j) for i, j in product(range(2), range(3))]
    assert all(mask.sum() + t.sum() > count for t in left if not mask[t].any())
    assert all(mask[t].all() == mask[t].any() for t in left)


SIZES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -3.0, np.inf, np.nan])


@given(entries=st.lists(SIZES, min_size=1, max_size=24), count=st.integers(-1, 30), single=st.booleans())
@settings(max_examples=200, deadline=None)
def test_the_largest_are_the_first_of_a_stable_order_by_size_with_ties_and_without_numbers(
    entries, count, single
):
    V = np.array(entries, np.float32 if single else np.float64)
    expected = np.zeros(V.size, bool)
    # A NaN comes last in numpy's order, whatever its sign.
    expected[np.argsort(-np.abs(V), kind="stable")[: max(count, 0)]] = True
    np.testing.assert_array_equal(largest(V[None], count)[0], expected)


PATTERNS: list[Projection] = [
    largest,
    Quota(np.arange(24) // 4, 2),
    Tied(np.arange(5), np.arange(24) // 4),
    Tied(np.arange(5) // 2, np.arange(24) // 5),
]


# Many sizes are partitioned between bounds that a sample guesses: wrong guesses, ties, few sizes.
MANY = {
    "normal": lambda rng: rng.standard_normal((90, 1000)),
    "few sizes": lambda rng: rng.integers(0, 3, (90, 1000)) - 1.0,
    "sparse": lambda rng: np.where(rng.random((90, 1000)) < 0.01, rng.standard_normal((90, 1000)), 0.0),
    "sorted": lambda rng: np.sort(rng.standard_normal(90_000)).reshape(90, 1000),
    "one row": lambda rng: np.outer(np.arange(90) == 0, rng.standard_normal(1000)),
    "no numbers": lambda rng: np.where(rng.random((90, 1000)) < 0.5, np.nan, rng.standard_normal((90, 1000))),
}


@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("count", [1, 7, 899, 45_000, 89_000, 89_999])
def test_the_largest_of_many_are_the_first_of_a_stable_order_too(name, count):
    V = MANY[name](np.random.default_rng(3)).astype(np.float32)
    order = np.argsort(-np.where(np.isnan(V), -1, np.abs(V)).ravel(), kind="stable")
    expected = np.zeros(V.size, bool)
    expected[order[:count]] = True
    np.testing.assert_array_equal(largest(V, count).ravel(), expected)


@pytest.mark.parametrize("project", PATTERNS)
@given(seed=st.integers(0, 1000), count=st.integers(0, 120))
@settings(max_examples=20, deadline=None)
def test_a_projection_is_idempotent(project, seed, count):
    V = some(seed, 5, 24)
    mask = project(V, count)
    np.testing.assert_array_equal(project(np.where(mask, V, 0), int(mask.sum())), mask)


@pytest.mark.parametrize("project", PATTERNS)
def test_polish_finds_a_better_support_of_the_pattern_than_magnitude(project):
    problems = row_problems()
    magnitude = project(problems.prior, 60)
    support = polish(problems, problems.prior, 60, project=project)
    np.testing.assert_array_equal(project(support.astype(float), 60), support)
    assert support.sum() == magnitude.sum()
    errors = [problems.datafit(refit(problems, s)).sum() for s in (support, magnitude)]
    assert errors[0] < errors[1]


def test_biases_that_are_given_cost_nothing_and_others_compete_with_weights():
    V = np.array([[3.0, 0.1, 9.0], [2.0, 0.2, 8.0], [1.0, 0.3, 0.05]])
    given = np.array([True, False, False])
    mask = WithBias(largest, given)(V, 3)
    assert mask.tolist() == [[True, False, True], [True, False, True], [False, False, False]]
    fixed = WithBias(Quota(np.array([0, 0]), 1), given)(V, 9)
    assert fixed.tolist() == [[True, False, True], [True, False, False], [True, False, False]]
