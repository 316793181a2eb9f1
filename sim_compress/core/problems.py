"""The row problems of one block in standard coordinates, and the way back to the network's units.

    minimise over v:  1/2 (v'Hv - 2 g'v + c) + alpha * sum_j P(v_j)    s.t.  sum_j ball_j |v_j| <= radius

The bias is not penalised, so it is eliminated exactly: features and targets are centred. Features are
divided by their damped deviation d_j and targets by theirs, t_i: v = w d / t. The result does not change when
a state or a row is rescaled, and one alpha means the same relative error everywhere.
"""

from dataclasses import dataclass

import numpy as np

from sim_compress.core.gram import Gram, Matrix

# A feature whose variance is below this part of its second moment is constant to float32 rounding.
CONSTANT = 1e-6


@dataclass(frozen=True)
class RowProblems:
    """All rows of one block; they share H.

    Attributes:
        H: (features, features), unit diagonal, damping included; zero for features without variance.
        g: (rows, features).
        c: (rows,), 1 for rows that vary.
        prior: the teacher's rows in these coordinates, (rows, features); the damping pulls towards it.
        feature_scale, row_scale: d and t; zero where constant.
        feature_mean, row_mean: means of the design and the target, for the bias.
    """

    H: Matrix
    g: Matrix
    c: Matrix
    prior: Matrix
    feature_scale: Matrix
    row_scale: Matrix
    feature_mean: Matrix
    row_mean: Matrix

    @property
    def rows(self) -> int:
        return len(self.g)

    @property
    def features(self) -> int:
        return self.g.shape[1]

    def to_network(self, V: Matrix) -> tuple[Matrix, Matrix]:
        """Weights w (rows, features) and bias (rows,) in the network's own units."""
        W = V * self.row_scale[:, None] * _inverse(self.feature_scale)
        return W, self.row_mean - W @ self.feature_mean

    def datafit(self, V: Matrix) -> Matrix:
        """1/2 (v'Hv - 2 g'v + c) of each row, (rows,)."""
        return 0.5 * (np.einsum("rj,rj->r", V @ self.H - 2 * self.g, V) + self.c)


def standardise(gram: Gram, teacher: Matrix, damping: float) -> RowProblems:
    """Row problems of a block from its moments.

    Args:
        gram: moments of the design and the target.
        teacher: the teacher's own rows, (rows, features).
        damping: strength of the pull towards the teacher's row: this part of the feature's variance, or
            of the mean variance where the feature's own is smaller. A singular Gram (fewer data points
            than features, features that happen to be constant) then has a unique solution, and that is
            the row known to be exact rather than zero.
    """
    n = gram.points
    feature_mean, row_mean = gram.feature_sum / n, gram.target_sum / n
    covariance = gram.second / n - np.outer(feature_mean, feature_mean)
    cross = gram.cross / n - np.outer(row_mean, feature_mean)
    variance = _variance(np.diag(covariance), np.diag(gram.second) / n)
    added = damping * np.maximum(variance, variance.mean())
    d = np.sqrt(variance + added)
    t = np.sqrt(_variance(gram.target_second / n - row_mean**2, gram.target_second / n))
    prior = teacher * d * _inverse(t)[:, None]
    pull = added * _inverse(d) ** 2
    H = covariance * np.outer(_inverse(d), _inverse(d))
    H[np.diag_indices_from(H)] = d > 0
    return RowProblems(
        H=H,
        g=cross * _inverse(t)[:, None] * _inverse(d) + pull * prior,
        c=(t > 0) + (prior**2) @ pull,
        prior=prior,
        feature_scale=d,
        row_scale=t,
        feature_mean=feature_mean,
        row_mean=row_mean,
    )


def _variance(variance: Matrix, second: Matrix) -> Matrix:
    """Variances, zero where they are rounding error."""
    return np.where(variance > CONSTANT * second, variance, 0.0)


def _inverse(scale: Matrix) -> Matrix:
    """1 / scale, zero where the scale is zero: a constant feature or row gets no weight."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
