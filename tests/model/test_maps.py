"""Fixed maps: the unrolled matrix does what the map does, shapes are what they say."""

import numpy as np
import pytest
from scipy import sparse

from sim_compress.model import (
    AlongAxis,
    Offset,
    Pad,
    Patches,
    Reshape,
    Scale,
    Slice,
    Sum,
    Transpose,
    apply_chain,
    chain_matrix,
    chain_shape,
    picking,
    selects,
)

SHAPE = (2, 5, 4)
CHAINS = {
    "identity": (),
    "reshape": (Reshape((10, 4)),),
    "transpose": (Transpose((2, 0, 1)),),
    "slice": (Slice((1, 0, 1), (1, 3, 2), (1, 2, 1)),),
    "reversed slice": (Slice((1, 4, 3), (2, 5, 2), (-1, -1, -2)),),
    "pad": (Pad((0, 1, 2), (1, 0, 0)),),
    "patches": (Patches((3, 2), (2, 1), (1, 2), (1, 0), (0, 1)),),
    "sum": (Sum((0, 2)),),
    "scale": (Scale(np.array([[[2.0]], [[-3.0]]])),),
    "offset before patches": (Offset(np.array(1.5)), Patches((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))),
    "picks": (picking(1, [4, -1, 0, 4], 5),),
    "matrix along an axis": (AlongAxis(2, sparse.csr_array([[0.5, 0.5, 0, 0], [0, -2, 0, 1]])),),
    "average pooling": (
        Patches((2, 2), (2, 2), (1, 1), (0, 0), (0, 0)),
        Reshape((2, 4, 2, 2)),
        Sum((1,)),
        Scale(np.array(0.25)),
    ),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_the_matrix_of_a_chain_does_what_the_chain_does(chain):
    x = np.random.default_rng(0).standard_normal((*SHAPE, 3))
    L, offset = chain_matrix(chain, SHAPE)
    mapped = apply_chain(chain, x)
    assert mapped.shape == (*chain_shape(chain, SHAPE), 3)
    # The same products in another order.
    np.testing.assert_allclose(mapped.reshape(-1, 3), L @ x.reshape(-1, 3) + offset[:, None], atol=1e-12)


def test_a_map_that_picks_entries_keeps_the_type_of_what_it_moves():
    numbers = np.arange(12).reshape(3, 4, 1)
    step = picking(0, [2, -1], 3)
    assert selects(step)
    np.testing.assert_array_equal(step.apply(numbers)[..., 0], [[8, 9, 10, 11], [0, 0, 0, 0]])
    assert not selects(AlongAxis(0, 2 * step.matrix))
    assert not selects(AlongAxis(0, sparse.csr_array(np.ones((1, 3), np.float32))))


def test_patches_are_ordered_as_a_flattened_convolution_weight():
    x = np.random.default_rng(0).standard_normal((2, 4, 4, 1))
    features = Patches((3, 3), (1, 1), (1, 1), (0, 0), (0, 0)).apply(x)
    np.testing.assert_array_equal(features[:, 1, 0, 0], x[:, 1:4, 0:3, 0].ravel())


@pytest.mark.parametrize(
    "step",
    [
        Reshape((3, 3)),
        Transpose((0, 1, 1)),
        Slice((0, 0, 0), (2, 6, 4), (1, 1, 1)),
        Slice((0, 0), (2, 5), (1, 1)),
        Pad((0, -1, 0), (0, 0, 0)),
        Pad((0, 0), (0, 0)),
        Patches((6, 3), (1, 1), (1, 1), (0, 0), (0, 0)),
        Patches((3,), (1,), (1,), (0,), (0,)),
        Patches((3, 3), (0, 1), (1, 1), (0, 0), (0, 0)),
        Sum(()),
        Sum((3,)),
        picking(1, [0], 4),
        picking(3, [0], 5),
        Scale(np.ones(5)),
        Offset(np.ones((1, 2, 5, 4))),
    ],
    ids=str,
)
def test_a_map_that_does_not_fit_is_refused(step):
    with pytest.raises(ValueError, match=r"\S"):
        step.out_shape(SHAPE)
