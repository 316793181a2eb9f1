"""The sums of tied rows and their gradients in numpy, for where numba does not compile.

Arguments are those of the kernels of the same names in `tied.py`.
"""

from itertools import pairwise
from typing import Any

import numpy as np


def add_rows(
    indptr: Any, columns: Any, values: Any, _: Any, table: Any, x: Any, z: Any, start: Any, rectify: bool
) -> None:
    """z += rows times features."""
    for r, own in enumerate(_rows(indptr)):
        if len(start):
            z[r] = start[r]
        z[r] += np.tensordot(values[own], x[table[columns[own]]], axes=1)
        if rectify:
            np.maximum(z[r], 0, out=z[r])


def add_gradients(
    indptr: Any, columns: Any, values: Any, table: Any, x: Any, dz: Any, dvalues: Any, dx: Any
) -> None:
    """dvalues and dx += gradients, from those of z; that of a value is the first of its parts."""
    for r, own in enumerate(_rows(indptr)):
        entries = table[columns[own]]
        dvalues[own, 0] += np.einsum("kpl,pl->k", x[entries], dz[r])
        if len(dx):
            # Several features may be the same entry.
            np.add.at(dx, entries, values[own, None, None] * dz[r])


def weighted_difference(one: Any, other: Any, weight: Any, target: Any) -> None:
    """target = weight (one - other)."""
    np.multiply(weight, one - other, out=target)


def _rows(indptr: Any) -> list[slice]:
    """Nonzeros of every row."""
    return [slice(begin, end) for begin, end in pairwise(indptr)]
