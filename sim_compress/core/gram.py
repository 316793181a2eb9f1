"""Streamed moments of the rows of one block: everything a row problem needs of the data.

Means and moments about them are kept apart: where a mean is a thousand times the deviation, nothing but
rounding would be left of E[s s'] - E[s] E[s'].
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.deviations import add_outer, deviations
from sim_compress.storage import IN_MEMORY, Storage

Matrix = NDArray[np.float64]
# What deviates by less than this part of its mean is constant to float32's rounding.
ROUNDING = float(np.finfo(np.float32).eps)


@dataclass
class Gram:
    """Moments of a design s (features) and targets z (rows) over data points; mergeable across shards.

    Attributes:
        points: number of data points.
        feature_mean: E[s], (features,).
        target_mean: E[z], (rows,).
        scatter: sum of (s - E[s]) (s - E[s])', (features, features); (0, 0) where only targets count.
        cross: sum of (z - E[z]) (s - E[s])', (rows, features).
        target_scatter: sum of (z - E[z])^2, (rows,).
    """

    points: int
    feature_mean: Matrix
    target_mean: Matrix
    scatter: Matrix
    cross: Matrix
    target_scatter: Matrix

    @classmethod
    def zeros(cls, features: int, rows: int, *, design: bool = True, storage: Storage = IN_MEMORY) -> Self:
        """No data yet; without the scatter of the design on request."""
        width = features if design else 0
        return cls(
            0,
            np.zeros(features),
            np.zeros(rows),
            storage.zeros((width, width)),
            storage.zeros((rows, features)),
            np.zeros(rows),
        )

    @classmethod
    def of(cls, S: NDArray[np.floating], Z: NDArray[np.floating], *, design: bool = True) -> Self:
        """The moments of data points S (features, points) and Z (rows, points).

        Deviations from the mean are multiplied in the arrays' own precision and summed over batches in
        float64: a batch of float32 keeps an error near 1e-7 of the product of two deviations.
        """
        s, z = deviations(S), deviations(Z)
        scatter = s.products(s) if design else np.zeros((0, 0))
        return cls(S.shape[1], s.mean, z.mean, scatter, z.products(s), z.squares())

    @property
    def variance(self) -> Matrix:
        """Of every feature, (features,); zero where it is rounding."""
        return _varying(self.scatter.diagonal() / self.points, self.feature_mean)

    @property
    def target_variance(self) -> Matrix:
        """Of every row's target, (rows,); zero where it is rounding."""
        return _varying(self.target_scatter / self.points, self.target_mean)

    def pulled(self, rows: Matrix, strength: Matrix) -> Self:
        """The moments with sum_j strength_j (w_j - rows_j)^2 added to every data point's squared error.

        Args:
            rows: (rows, features).
            strength: (features,).
        """
        added = self.points * strength
        return replace(
            self,
            scatter=self.scatter + np.diag(added),
            cross=self.cross + rows * added,
            target_scatter=self.target_scatter + rows**2 @ added,
        )

    @staticmethod
    def bytes(features: int, rows: int) -> int:
        """Bytes of the moments."""
        return np.dtype(np.float64).itemsize * (features**2 + rows * features + features + 2 * rows)

    def add(self, S: NDArray[np.floating], Z: NDArray[np.floating]) -> None:
        """Add data points; see `of`."""
        self.merge(self.of(S, Z))

    def merge(self, other: Self) -> None:
        """Add another shard's data points (Chan, Golub and LeVeque 1983, pairwise algorithm)."""
        points = self.points + other.points
        s, z = other.feature_mean - self.feature_mean, other.target_mean - self.target_mean
        part = other.points / points
        weight = self.points * part
        self.scatter += other.scatter
        self.cross += other.cross
        if weight:
            add_outer(self.scatter, weight * s, s)
            add_outer(self.cross, weight * z, s)
        self.target_scatter += other.target_scatter + weight * z**2
        self.feature_mean += part * s
        self.target_mean += part * z
        self.points = points


def _varying(variance: Matrix, mean: Matrix) -> Matrix:
    return np.where(variance > (ROUNDING * mean) ** 2, variance, 0.0)
