"""Arrays on their way between processes keep the order of their axes in memory.

It decides the path that BLAS takes, and so the last bits of a product; pickling alone makes all but C and
Fortran order C order. Strides of unit axes, which may be anything, become those of a fresh array.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.engines.interface import Arrays


class Packed(NamedTuple):
    """An array as it lies in memory.

    Attributes:
        data: in C order, its axes from the largest stride to the smallest.
        axes: where each axis of the array is in `data`.
    """

    data: NDArray[Any]
    axes: tuple[int, ...]


def packed(arrays: Arrays) -> dict[str, Packed]:
    """The arrays by name; what has gaps in memory, or broadcasts, is copied."""
    return {name: _packed(array) for name, array in arrays.items()}


def unpacked(arrays: dict[str, Packed]) -> Arrays:
    """The arrays again, without a copy."""
    return {name: p.data.transpose(p.axes) for name, p in arrays.items()}


def _packed(array: NDArray[Any]) -> Packed:
    order = np.argsort([-abs(stride) for stride in array.strides], kind="stable")
    data = np.ascontiguousarray(array.transpose(order)).reshape([array.shape[i] for i in order])
    # A copy of C order has fresh strides; a view of it may keep those of unit axes.
    return Packed(data.reshape(-1).reshape(data.shape), tuple(int(i) for i in np.argsort(order)))
