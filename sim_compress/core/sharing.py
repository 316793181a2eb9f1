"""Nonzeros shared out between blocks by what each block's sparsity does to the output."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sim_compress.core.allocation import rounded
from sim_compress.core.gram import Matrix

# Shares a block is offered, as parts of its size.
OFFERS = 400
# Bisections of the multiplier: it spans many orders of magnitude.
BISECTIONS = 100
# Slope of the logarithm of the error against density where a block was measured at one level alone.
USUAL = -10.0
# No error is taken as smaller: logarithms are interpolated.
TINY = 1e-14
# Below it a block is exact to float32 rounding, as a sparse network's own support is. Its logarithm then says
# nothing of what one entry less costs: errors are interpolated towards it themselves.
EXACT = 1e-10


@dataclass(frozen=True)
class Curve:
    """Error of the network's outputs when one block alone is sparse.

    Attributes:
        size: entries of the block's rows.
        counts: (levels,) entries kept, ascending.
        errors: (levels,) relative squared error of the outputs.
    """

    size: int
    counts: Matrix
    errors: Matrix

    def at(self, counts: Matrix) -> Matrix:
        """Errors for other counts: the logarithm is linear between levels and beyond them.

        Towards the first level that is exact the error itself is linear.
        """
        if not len(self.counts) or not self.size:
            return np.zeros(len(counts))
        errors = np.maximum(np.minimum.accumulate(self.errors), TINY)
        first = int(np.argmax(errors <= EXACT))
        if first:
            before = counts < self.counts[first]
            left = Curve(self.size, self.counts[: first + 1], np.append(errors[:first], EXACT))
            linear = np.interp(counts, left.counts[-2:], left.errors[-2:])
            found = np.where(counts > self.counts[first - 1], linear, left._logarithmic(counts))
            return np.where(before, found, self._logarithmic(counts))
        return self._logarithmic(counts)

    def _logarithmic(self, counts: Matrix) -> Matrix:
        known = np.log(np.maximum(np.minimum.accumulate(self.errors), TINY))
        slopes = np.diff(known) / np.diff(self.counts) if len(known) > 1 else np.array([USUAL / self.size])
        found = np.interp(counts, self.counts, known)
        found += slopes[0] * np.minimum(counts - self.counts[0], 0)
        found += slopes[-1] * np.maximum(counts - self.counts[-1], 0)
        return np.exp(found)


def share(curves: Sequence[Curve], count: int) -> tuple[int, ...]:
    """Entries each block keeps so that the sum of the errors is least; they sum to min(count, all sizes).

    Errors of different blocks are taken as independent, so they add. One Lagrange multiplier prices an
    entry for every block.
    """
    offers = [curve.size * np.linspace(1 / OFFERS, 1, OFFERS) for curve in curves]
    errors = [curve.at(offer) for curve, offer in zip(curves, offers, strict=True)]

    def wanted(price: float) -> Matrix:
        picks = zip(offers, errors, strict=True)
        return np.array([offer[np.argmin(error + price * offer)] for offer, error in picks])

    # Logarithms of a price at which every block keeps all, and of one at which it keeps as little as it may.
    cheap, dear = np.log(TINY) - 20.0, 20.0
    for _ in range(BISECTIONS):
        middle = (cheap + dear) / 2
        if wanted(np.exp(middle)).sum() > count:
            cheap = middle
        else:
            dear = middle
    above, below = wanted(np.exp(cheap)), wanted(np.exp(dear))
    part = (count - below.sum()) / max(above.sum() - below.sum(), 1.0)
    sizes = np.array([curve.size for curve in curves])
    return rounded(below + np.clip(part, 0.0, 1.0) * (above - below), sizes, count)
