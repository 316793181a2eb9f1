"""Streamed second moments of the rows of one block: everything a row problem needs of the data.

A row problem sees its data only through H = E[s s'], g = E[s z] and c = E[z^2] of design s and target z.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
# The sums that depend on targets.
TARGETS = ("cross", "target_sum", "target_second")


@dataclass
class Gram:
    """Sums over data points of a design s (features) and targets z (rows); mergeable across shards.

    Attributes:
        points: number of data points.
        second: sum of s s', (features, features).
        cross: sum of z s', (rows, features).
        feature_sum, target_sum, target_second: sums of s, z and z^2.
    """

    points: int
    second: Matrix
    cross: Matrix
    feature_sum: Matrix
    target_sum: Matrix
    target_second: Matrix

    @classmethod
    def zeros(cls, features: int, rows: int) -> Self:
        """No data yet."""
        return cls(
            0,
            np.zeros((features, features)),
            np.zeros((rows, features)),
            np.zeros(features),
            np.zeros(rows),
            np.zeros(rows),
        )

    @staticmethod
    def bytes(features: int, rows: int) -> int:
        """Bytes of the sums."""
        return np.dtype(np.float64).itemsize * (features**2 + rows * features + features + 2 * rows)

    def add(self, S: NDArray[np.floating], Z: NDArray[np.floating]) -> None:
        """Add data points: S (features, points) and Z (rows, points).

        Products run in the arrays' own precision and are summed in float64: a batch of float32 keeps a
        relative error near 1e-7 in each entry.
        """
        self.points += S.shape[1]
        self.second += S @ S.T
        self.feature_sum += S.sum(axis=1, dtype=np.float64)
        self.add_targets(S, Z)

    def add_targets(self, S: NDArray[np.floating], Z: NDArray[np.floating]) -> None:
        """Add the targets Z (rows, points) of data points S (features, points) that are counted already."""
        self.cross += Z @ S.T
        self.target_sum += Z.sum(axis=1, dtype=np.float64)
        self.target_second += np.einsum("rp,rp->r", Z, Z, dtype=np.float64)

    def without_targets(self) -> Self:
        """The same design before any targets; the sums over the design are shared."""
        rows, features = self.cross.shape
        none = {name: np.zeros(rows) for name in TARGETS} | {"cross": np.zeros((rows, features))}
        return replace(self, **none)

    def merge_targets(self, other: Self) -> None:
        """Add another shard's targets."""
        for name in TARGETS:
            getattr(self, name).__iadd__(getattr(other, name))

    def merge(self, other: Self) -> None:
        """Add another shard's data points."""
        self.points += other.points
        self.second += other.second
        self.feature_sum += other.feature_sum
        self.merge_targets(other)
