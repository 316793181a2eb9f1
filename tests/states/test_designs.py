"""Designs and targets: grouped rows see their own features, fixed terms leave the target."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from sim_compress.core import refit, standardise
from sim_compress.model import Affine, Term
from sim_compress.runtime import preactivation
from sim_compress.states import dense_product
from sim_compress.states.designs import moments, nearest_targets, row_groups, teacher_rows
from tests.networks import residual_network, weight

# The refit's ridge of 1e-7 on Grams of float32 products.
FIT = 1e-3


def values(samples: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    model = residual_network()
    return {n: rng.standard_normal((*s, samples)).astype(np.float32) for n, s in model.shapes.items()}


def test_a_grouped_convolution_has_a_row_group_for_each_group():
    block = residual_network().blocks[1].affine
    groups = row_groups(block)
    assert [(g.rows, g.features) for g in groups] == [
        (slice(0, 3), (slice(0, 18),)),
        (slice(3, 6), (slice(18, 36),)),
    ]
    np.testing.assert_array_equal(teacher_rows(block, groups[1]), block.weights[0][3:, 18:].toarray())


@pytest.mark.parametrize(("groups", "rows", "features"), [(8, 1, 9), (4, 3, 5), (1, 6, 5), (5, 2, 1)])
@pytest.mark.parametrize("points", [1, 40])
def test_groups_of_rows_meet_their_own_features_alone(groups, rows, features, points):
    rng = np.random.default_rng(2)
    W = np.zeros((groups * rows, groups * features), np.float32)
    for number in range(groups):
        own = rng.standard_normal((rows, features)) * (rng.random((rows, features)) < 0.7)
        W[number * rows : (number + 1) * rows, number * features : (number + 1) * features] = own
    X = rng.standard_normal((groups * features, points)).astype(np.float32)
    np.testing.assert_allclose(dense_product(sparse.csr_array(W), X, groups), W @ X, 1e-5, 1e-5)


def test_terms_of_different_groups_share_the_finer_rows():
    block = Affine((4,), (Term("u", (), weight(4, 6), groups=2), Term("x", (), weight(4, 8), groups=4)))
    groups = row_groups(block)
    assert [g.rows for g in groups] == [slice(i, i + 1) for i in range(4)]
    assert groups[3].features == (slice(3, 6), slice(6, 8))


def test_a_block_without_weights_has_no_row_group():
    assert row_groups(residual_network().blocks[2].affine) == ()


@pytest.mark.parametrize("name", [n for n, a in residual_network().affines() if a.weighted])
def test_least_squares_on_the_full_support_gives_back_every_blocks_rows(name):
    affine = dict(residual_network().affines())[name]
    known = values(400)
    grams = moments(affine, known, preactivation(affine, known))
    for gram, group in zip(grams, row_groups(affine), strict=True):
        problems = standardise(gram, teacher_rows(affine, group), 0.0)
        W, b = problems.to_network(refit(problems, np.ones(problems.g.shape, bool)))
        np.testing.assert_allclose(W, teacher_rows(affine, group), atol=FIT)
        assert affine.bias is not None
        np.testing.assert_allclose(b, affine.bias[group.rows], atol=FIT)


def test_moments_are_means_over_positions_and_samples():
    affine, known = residual_network().blocks[0].affine, values(10)
    (gram,) = moments(affine, known, preactivation(affine, known))
    assert gram.points == 10 * 6 * 6


def test_targets_move_to_what_the_rows_give_where_the_state_stays_off():
    block, known = residual_network().blocks[0], values(20)
    z = preactivation(block.affine, known)
    (gram,) = moments(block.affine, known, z)
    halved = replace(block.affine, terms=tuple(_halved(t) for t in block.affine.terms))
    (moved,) = nearest_targets(block, halved, known, z)
    wanted = block.phi.nearest(z, preactivation(halved, known))
    np.testing.assert_array_equal(block.phi(wanted), block.phi(z))
    target = wanted.reshape(block.affine.rows, -1)
    np.testing.assert_allclose(moved.target_mean, target.mean(axis=1), rtol=1e-4)
    assert np.all(moved.target_variance < gram.target_variance)
    assert not moved.scatter.size


def test_targets_of_the_teachers_own_rows_stay():
    block, known = residual_network().blocks[1], values(20)
    z = preactivation(block.affine, known)
    grams = moments(block.affine, known, z)
    again = nearest_targets(block, block.affine, known, z)
    for gram, other in zip(grams, again, strict=True):
        np.testing.assert_allclose(other.cross, gram.cross, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(other.feature_mean, gram.feature_mean, rtol=1e-6)


def _halved(term: Term) -> Term:
    return term if term.weight is None else replace(term, weight=sparse.csr_array(0.5 * term.weight))
