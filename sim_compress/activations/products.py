"""Matrix products of two tensors: attention's scores, and its weights times its values."""

from collections.abc import Sequence

import numpy as np

from sim_compress.activations.kind import Array, Attributes, Kind, Shape, unbounded
from sim_compress.activations.parts import check_parts, split


def _matmul(z: Array, a: Attributes) -> Array:
    rank = max(len(part) for part in a["parts"])
    left, right = (_samples_first(part, rank) for part in split(z, a["parts"]))
    return np.moveaxis(left @ right, 0, -1)


def _samples_first(part: Array, rank: int) -> Array:
    """(samples, 1, ..., *part), contiguous, as BLAS takes it."""
    moved = np.ascontiguousarray(np.moveaxis(part, -1, 0))
    return moved.reshape(len(moved), *(1,) * (rank + 1 - part.ndim), *part.shape[:-1])


def _matmul_shape(shape: Shape, a: Attributes) -> Shape:
    left, right = _matrices(check_parts(shape, a, 2))
    return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])


def _matrices(parts: Sequence[Shape]) -> Sequence[Shape]:
    left, right = parts
    if min(len(left), len(right)) < 2 or left[-1] != right[-2]:
        raise ValueError(f"no matrix product of {left} and {right}")
    return parts


KINDS: dict[str, Kind] = {
    "matmul": Kind(
        "matrix product of z1 (..., m, k) and z2 (..., k, n), for each of the leading entries",
        _matmul,
        lipschitz=unbounded,
        componentwise=False,
        state_shape=_matmul_shape,
        attributes=("parts",),
    ),
}
