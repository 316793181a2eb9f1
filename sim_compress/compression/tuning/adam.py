"""Adam (Kingma and Ba 2015) with a step for every array that first grows and then falls along a cosine."""

from collections.abc import Sequence

import numpy as np

from sim_compress.model.maps import Array

BETAS = 0.9, 0.99
EPSILON = 1e-8
# Steps over which the step grows.
WARM_UP = 10


class Adam:
    """Moves arrays in place against their gradients.

    Args:
        arrays: what is moved; each by steps of its own mean size.
        step: of an entry, relative to the mean size of its array.
        steps: how many there will be.
    """

    def __init__(self, arrays: Sequence[Array], step: float, steps: int) -> None:
        self._arrays = arrays
        self._sizes = [step * float(np.abs(a).mean()) if a.size else 0.0 for a in arrays]
        self._means = [np.zeros_like(a) for a in arrays]
        self._squares = [np.zeros_like(a) for a in arrays]
        self._steps, self._number = steps, 0

    def step(self, gradients: Sequence[Array]) -> None:
        """One step; gradients of the arrays, in their order."""
        scale = self._scale()
        self._number += 1
        first, second = (1 - beta**self._number for beta in BETAS)
        for i, gradient in enumerate(gradients):
            self._means[i] += (1 - BETAS[0]) * (gradient - self._means[i])
            self._squares[i] += (1 - BETAS[1]) * (gradient * gradient - self._squares[i])
            direction = (self._means[i] / first) / (np.sqrt(self._squares[i] / second) + EPSILON)
            self._arrays[i][:] -= scale * self._sizes[i] * direction

    def _scale(self) -> float:
        warm_up = min(WARM_UP, self._steps // 4 + 1)
        growth = min((self._number + 1) / warm_up, 1.0)
        return growth * (1 + np.cos(np.pi * self._number / self._steps)) / 2
