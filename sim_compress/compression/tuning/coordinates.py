"""Values of a block's rows in the coordinates of its row problems, where an optimiser moves them.

    v_j = w_j d_j / t        c = (b + sum_j w_j m_j) / t

m_j and d_j are mean and damped deviation of a feature, t the damped deviation of the row's target: c is the
row's mean. A step in v leaves it where it is, whatever the means are, and a step of one size means the same
for features and rows of any unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.core import RowProblems
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine
from sim_compress.runtime.reverse.lanes import Floats
from sim_compress.states import by_column, row_groups


@dataclass(frozen=True, eq=False)
class _Entries:
    """The entries of one weight.

    Attributes:
        weights: their values in the network's units, changed in place.
        row: of each.
        mean: m of each; zero in a row without a bias.
        unit: what a value of 1 is in the network's units, t / d; zero where nothing varies.
    """

    weights: Floats
    row: NDArray[np.int64]
    mean: Matrix
    unit: Matrix


class Coordinates:
    """One block's parameters as v and c.

    Args:
        affine: the block.
        problems: of its row groups, for m, d and t.
        parameters: values of every weight, then the bias where there is one; `write` changes them.

    Attributes:
        values: v of every weight, then c where there is a bias, in the order of the parameters.
    """

    def __init__(self, affine: Affine, problems: Sequence[RowProblems], parameters: Sequence[Floats]) -> None:
        self._bias = parameters[-1] if affine.bias is not None else None
        self._scale = _row_scale(affine, problems)
        self._biased = np.zeros(affine.rows, bool) if self._bias is None else self._bias != 0
        means = by_column(affine, [own.feature_mean for own in problems])
        deviations = by_column(affine, [own.feature_scale for own in problems])
        parts = zip(affine.weights, parameters, means, deviations, strict=False)
        self._entries = [self._entries_of(*part) for part in parts]
        self.values = [_divided(e.weights, e.unit) for e in self._entries]
        if self._bias is not None:
            self.values.append(_divided(self._bias + self._shift(), self._scale * self._biased))

    def gradients(self, own: Sequence[Floats]) -> list[Floats]:
        """Gradients of the values from those of the parameters, in the same order."""
        of_bias = own[-1].astype(np.float64) if self._bias is not None else np.zeros(len(self._scale))
        found = [(g - of_bias[e.row] * e.mean) * e.unit for g, e in zip(own, self._entries, strict=False)]
        if self._bias is not None:
            found.append(of_bias * self._scale)
        return [g.astype(np.float32) for g in found]

    def write(self) -> None:
        """Give the parameters what the values are now; the bias takes up the rounding of the weights."""
        for values, e in zip(self.values, self._entries, strict=False):
            np.multiply(values, e.unit, out=e.weights, where=e.unit > 0, casting="same_kind")
        if self._bias is not None:
            bias = self.values[-1] * self._scale - self._shift()
            np.copyto(self._bias, bias, where=self._biased & (self._scale > 0), casting="same_kind")

    def _shift(self) -> Matrix:
        """What the means bring to every row, sum_j w_j m_j."""
        total = np.zeros(len(self._scale))
        for e in self._entries:
            total += np.bincount(e.row, e.weights * e.mean, len(total))
        return total

    def _entries_of(
        self, matrix: sparse.csr_array, weights: Floats, means: Matrix, deviations: Matrix
    ) -> _Entries:
        row = np.repeat(np.arange(len(self._scale)), np.diff(matrix.indptr))
        mean, deviation = means[matrix.indices], deviations[matrix.indices]
        # Where no bias takes up the mean, what a weight does to z is not the deviation alone.
        deviation = np.where(self._biased[row], deviation, np.hypot(deviation, mean))
        unit = np.divide(self._scale[row], deviation, out=np.zeros_like(deviation), where=deviation > 0)
        return _Entries(weights, row, np.where(self._biased[row], mean, 0.0), unit)


def _row_scale(affine: Affine, problems: Sequence[RowProblems]) -> Matrix:
    """t of every row, (rows,)."""
    scale = np.zeros(affine.rows)
    for group, own in zip(row_groups(affine), problems, strict=True):
        scale[group.rows] = own.row_scale
    return scale


def _divided(values: NDArray[np.floating], unit: Matrix) -> Floats:
    """In units, zero where the unit is."""
    found = np.divide(values, unit, out=np.zeros_like(unit), where=unit > 0)
    return found.astype(np.float32)
