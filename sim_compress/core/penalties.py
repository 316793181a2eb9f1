"""The penalties P of a row problem: perspective (paper eq. 4) and l1 (eq. 6).

The perspective of gamma w^2/t + mu t, minimised over t in [0, 1], is 2 sqrt(gamma mu) |w| up to the knee
sqrt(mu/gamma) and gamma w^2 + mu beyond. Divided by its slope at zero it has one parameter left:

    P(v) = |v|  for |v| <= knee,      (v^2 / knee + knee) / 2  beyond.

With an infinite knee it is l1.
"""

from dataclasses import dataclass

import numpy as np

from sim_compress.core.gram import Matrix


@dataclass(frozen=True)
class Penalty:
    """P with its knee in standard coordinates."""

    knee: float

    def value(self, v: Matrix) -> Matrix:
        """P(v), entry by entry."""
        size = np.abs(v)
        if np.isinf(self.knee):
            return size
        return np.where(size <= self.knee, size, (size**2 / self.knee + self.knee) / 2)

    def prox(self, u: Matrix, step: float) -> Matrix:
        """argmin over v of 1/2 (v - u)^2 + step P(v), entry by entry."""
        shrunk = np.maximum(np.abs(u) - step, 0.0)
        return np.copysign(np.where(shrunk <= self.knee, shrunk, np.abs(u) / (1 + step / self.knee)), u)

    def conjugate(self, q: Matrix) -> Matrix:
        """sup over v of q v - P(v): zero on [-1, 1], infinite outside for l1."""
        with np.errstate(invalid="ignore"):
            outside = self.knee * (q**2 - 1) / 2
        return np.where(np.abs(q) <= 1, 0.0, outside)


L1 = Penalty(np.inf)
