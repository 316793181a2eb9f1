"""Every fixed map in torch equals that of the numpy kernels, integers included."""

import numpy as np
import pytest
from scipy import sparse

from sim_compress.model import (
    MAPS,
    AlongAxis,
    LinearMap,
    Lookup,
    Offset,
    Pad,
    Patches,
    Reshape,
    Scale,
    Slice,
    Sum,
    Transpose,
)
from sim_compress.model.maps import picking
from tests.networks import weight

pytest.importorskip("torch", reason="the extra 'torch' is not installed")

import torch

from sim_compress.runtime.autograd.maps import FixedMap

EXAMPLES: list[LinearMap] = [
    Reshape((5, 2, 6)),
    Transpose((2, 0, 1)),
    Slice((2, 3, 0), (3, 2, 3), (-1, -3, 2)),
    Pad((1, 0, 2), (0, 3, 1)),
    Patches((2, 3), (2, 1), (1, 2), (1, 0), (0, 2)),
    Sum((0, 2)),
    Scale(np.random.default_rng(0).standard_normal((3, 1, 5))),
    Offset(np.random.default_rng(1).standard_normal((4, 1))),
    picking(1, [3, -1, 0, 0, 2], 4),
    AlongAxis(2, weight(6, 5)),
    AlongAxis(0, sparse.csr_array((2, 3), dtype=np.float32)),
    Lookup(np.random.default_rng(4).standard_normal((9, 3)).astype(np.float32)),
]
# Constants are float32, sums of a few products.
ROUNDING = 1e-5


def both(step: LinearMap, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return FixedMap(step)(torch.tensor(x)).numpy(), np.moveaxis(step.apply(np.moveaxis(x, 0, -1)), -1, 0)


@pytest.mark.parametrize("step", EXAMPLES, ids=lambda step: type(step).__name__)
def test_values(step: LinearMap):
    found, expected = both(step, np.random.default_rng(2).standard_normal((2, 3, 4, 5)).astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@pytest.mark.parametrize("step", [*EXAMPLES[:5], EXAMPLES[8]], ids=lambda step: type(step).__name__)
def test_selections_keep_the_dtype(step: LinearMap, dtype: str):
    found, expected = both(step, np.random.default_rng(3).integers(0, 2**8, (2, 3, 4, 5)).astype(dtype))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_every_map_has_an_example():
    assert {type(step) for step in EXAMPLES} == set(MAPS.values())
