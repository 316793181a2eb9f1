"""Designs and targets: grouped rows see their own features, fixed terms leave the target."""

import numpy as np
import pytest

from sim_compress.core import refit, standardise
from sim_compress.model import Affine, Term
from sim_compress.runtime import preactivation
from sim_compress.states.designs import accumulate, empty_grams, row_groups, teacher_rows
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
    known, grams = values(400), empty_grams(affine)
    accumulate(grams, affine, known, preactivation(affine, known))
    for gram, group in zip(grams, row_groups(affine), strict=True):
        problems = standardise(gram, teacher_rows(affine, group), 0.0)
        W, b = problems.to_network(refit(problems, np.ones(problems.g.shape, bool)))
        np.testing.assert_allclose(W, teacher_rows(affine, group), atol=FIT)
        assert affine.bias is not None
        np.testing.assert_allclose(b, affine.bias[group.rows], atol=FIT)


def test_moments_are_means_over_positions_and_samples():
    affine, known = residual_network().blocks[0].affine, values(10)
    (gram,) = grams = empty_grams(affine)
    accumulate(grams, affine, known, preactivation(affine, known))
    assert gram.points == 10 * 6 * 6
