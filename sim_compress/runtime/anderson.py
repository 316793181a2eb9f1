"""Anderson mixing of fixed-point iterates, each sample on its own."""

import numpy as np

from sim_compress.model.maps import Array

# Iterates that are mixed.
WINDOW = 5
# Relative damping of the small least-squares problems, which are nearly singular close to the solution.
DAMPING = 1e-8
# A residual that grew by this factor over the best so far: start again from the plain iterate.
GROWTH = 2.0


class Mixing:
    """The last differences of iterates and residuals, (WINDOW, size, samples)."""

    def __init__(self, size: int, samples: int) -> None:
        self._shape = (WINDOW, size, samples)
        self._count = 0
        self._best = np.full(samples, np.inf)

    def next(self, x: Array, updated: Array, change: Array) -> Array:
        """The next iterate from x, phi(Ax + Bu) and its residual norm for each sample."""
        f = (updated - x).astype(np.float64)
        if not self._count:
            self._updates, self._residuals = np.zeros(self._shape), np.zeros(self._shape)
        else:
            slot = (self._count - 1) % WINDOW
            self._updates[slot], self._residuals[slot] = updated - self._updated, f - self._f
        self._count += 1
        self._updated, self._f = updated.astype(np.float64), f
        worse = ~(change <= GROWTH * self._best)
        self._updates[..., worse] = self._residuals[..., worse] = 0
        self._best = np.minimum(np.where(worse, np.inf, self._best), change)
        return (self._updated - self._correction(f)).astype(np.float32)

    def _correction(self, f: Array) -> Array:
        """The combination of updates whose residuals come closest to f."""
        R = np.ascontiguousarray(self._residuals.transpose(2, 0, 1))
        normal = R @ R.transpose(0, 2, 1)
        scale = np.trace(normal, axis1=1, axis2=2)
        # Where nothing is known yet the problem is 0 = 0: any positive diagonal gives no correction.
        damping = np.where(scale > 0, DAMPING * scale, 1.0)
        normal += damping[:, None, None] * np.eye(WINDOW)
        weights = np.linalg.solve(normal, R @ f.T[:, :, None])[:, :, 0]
        return np.einsum("sw,wds->ds", weights, self._updates)
