"""A traced chain reads the very elements that the chain gives, wherever it claims to shift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.model import LinearMap, Pad, Patches, Reshape, Slice, Transpose, apply_chain, chain_shape
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.windows import Windows, trace


def read(windows: Windows, canonical: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Features (k, rows, columns) of windows; zero outside the image."""
    features = np.zeros((len(windows.channel), *size), canonical.dtype)
    for k, (c, row, column) in enumerate(zip(windows.channel, windows.row, windows.column, strict=True)):
        for i, j in np.ndindex(*size):
            y, x = row + i * windows.strides[0], column + j * windows.strides[1]
            if c >= 0 and 0 <= y < canonical.shape[1] and 0 <= x < canonical.shape[2]:
                features[k, i, j] = canonical[c, y, x]
    return features


def assert_traced(maps: tuple[LinearMap, ...], shape: tuple[int, ...], axis: int = 0) -> None:
    source, out = Form(shape, (axis,)), chain_shape(maps, shape)
    # Features first, as a weighted term has them.
    target = Form((5, *out[1:]))
    windows = trace(maps, source, target, weighted=True)
    assert windows is not None
    numbers = np.arange(1, np.prod(shape) + 1).reshape(shape)
    expected = apply_chain(maps, numbers[..., None])[..., 0].reshape(out[0], *target.size)
    np.testing.assert_array_equal(read(windows, source.canonical(numbers), target.size), expected)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.integers(1, 2),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_patches(shape, kernel, strides, dilation, before, after):
    patches = Patches(kernel, strides, (dilation, dilation), before, after)
    try:
        patches.out_shape(shape)
    except ValueError:
        return
    assert_traced((patches,), shape)


@pytest.mark.parametrize(
    ("maps", "shape", "axis"),
    [
        ((), (4, 3, 5), 0),
        ((), (7,), 0),
        ((Reshape((6,)),), (6, 1, 1), 0),
        ((Reshape((1, 6, 1)), Transpose((1, 0, 2))), (6,), 0),
        ((Transpose((1, 0)),), (3, 4), 1),
        ((Slice((1, 1, 0), (2, 2, 3), (1, 2, 2)),), (4, 5, 6), 0),
        (
            (Slice((0, 1, 1), (2, 3, 3), (1, 1, 1)), Patches((2, 2), (1, 1), (1, 1), (0, 0), (0, 0))),
            (2, 5, 5),
            0,
        ),
        ((Pad((1, 0, 0), (2, 0, 0)),), (3, 2, 2), 0),
        ((Patches((3,), (2,), (1,), (1,), (1,)),), (4, 9), 0),
    ],
)
def test_chains_that_shift(maps, shape, axis):
    assert_traced(maps, shape, axis)


@pytest.mark.parametrize(
    ("maps", "shape"),
    [
        ((Reshape((12,)),), (3, 2, 2)),
        ((Slice((0, 4, 0), (3, 5, 5), (1, -1, 1)),), (3, 5, 5)),
        ((Pad((0, 1, 0), (0, 0, 0)),), (3, 4, 4)),
        ((Transpose((0, 2, 1)),), (3, 4, 4)),
        # Padding after a slice is zero, but the image goes on around the slice.
        (
            (Slice((0, 1, 1), (3, 2, 2), (1, 1, 1)), Patches((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))),
            (3, 4, 4),
        ),
    ],
)
def test_chains_that_need_a_copy(maps, shape):
    out = chain_shape(maps, shape)
    assert trace(maps, Form(shape), Form((5, *out[1:])), weighted=True) is None
