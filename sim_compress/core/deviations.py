"""Data less their means, in units in which float32 products neither cancel nor leave their range."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
# Deviations from 1 / WIDE to WIDE are multiplied as they are: 2^40 products of two of them stay finite, and
# those that underflow are below the rounding of their sum.
WIDE = 2.0**40
# Data points whose mean is the centre: one within a few deviations of the mean costs no digit.
CENTRING = 1024
# Entries of an outer product that are added at once: half a megabyte stays in cache.
PIECE = 1 << 16


@dataclass(frozen=True, eq=False)
class Deviations:
    """Rows of data as centre + scale * values.

    Attributes:
        values: (rows, points), in the data's own precision.
        scale: (rows,), powers of two.
        centre: (rows,); of a constant row its value.
        offset: (rows,), the mean less the centre.
    """

    values: NDArray[np.floating]
    scale: Vector
    centre: Vector
    offset: Vector

    @property
    def mean(self) -> Vector:
        """(rows,)."""
        return self.centre + self.offset

    def products(self, other: "Deviations") -> Vector:
        """Sums over the points of products of deviations from the means, (rows, the other's rows)."""
        found = (self.values @ other.values.T).astype(np.float64, copy=False)
        if (self.scale != 1).any() or (other.scale != 1).any():
            found *= self.scale[:, None] * other.scale
        add_outer(found, -self.values.shape[1] * self.offset, other.offset)
        return found

    def squares(self) -> Vector:
        """Sums over the points of squared deviations from the means, (rows,)."""
        found = np.einsum("rp,rp->r", self.values, self.values, dtype=np.float64)
        return np.maximum(found * self.scale**2 - self.values.shape[1] * self.offset**2, 0.0)


def deviations(X: NDArray[np.floating]) -> Deviations:
    """Of data (rows, points), at least one point."""
    points = X.shape[1]
    # An odd step meets every sample, whatever their number is, and every position.
    some = X[:, :: points // CENTRING | 1]
    centre = some.mean(axis=1, dtype=np.float64).astype(X.dtype)
    values = X - centre[:, None]
    largest = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64)
    wide = (largest > WIDE) | ((largest < 1 / WIDE) & (largest > 0))
    scale = np.ones(len(X))
    if wide.any():
        scale[wide] = np.exp2(np.frexp(largest[wide])[1])
        values[wide] = (values[wide] / scale[wide, None]).astype(X.dtype)
    # A product is four times as fast as a float64 sum of float32, and the offset is small.
    offset = scale * (values @ np.ones(points, values.dtype)).astype(np.float64) / points
    return Deviations(values, scale, centre.astype(np.float64), offset)


def add_outer(target: Vector, left: Vector, right: Vector) -> None:
    """target += left right', a few rows at a time: a whole product would be as large as the target."""
    rows = max(1, PIECE // max(1, len(right)))
    for first in range(0, len(target), rows):
        target[first : first + rows] += left[first : first + rows, None] * right
