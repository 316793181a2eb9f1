"""The row problems of one block in standard coordinates, and the way back to the network's units.

    minimise over v:  1/2 (v'Hv - 2 g'v + c) + alpha * sum_j P(v_j)    s.t.  sum_j ball_j |v_j| <= radius

The bias is not penalised, so it is eliminated exactly: features and targets are centred. Features are
divided by their damped deviation d_j and targets by theirs, t_i: v = w d / t. The result does not change when
a state or a row is rescaled, and one alpha means the same relative error everywhere.

A row without a bias misses the mean of its target too, by r = mu - m'v in these coordinates, with m and mu
the scaled means. That adds r^2 / 2 to its datafit: one more data point, m, of weight one.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Gram, Matrix

Mask = NDArray[np.bool_]
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

    @property
    def free(self) -> Mask:
        """Where a weight can be other than zero, (rows, features): row and feature vary."""
        return np.outer(self.row_scale > 0, self.feature_scale > 0)

    @property
    def means(self) -> tuple[Matrix, Matrix]:
        """m, (features,), and mu, (rows,): the means in these coordinates, zero where nothing varies."""
        return self.feature_mean * _inverse(self.feature_scale), self.row_mean * _inverse(self.row_scale)

    def to_network(self, V: Matrix, biased: Mask | None = None) -> tuple[Matrix, Matrix]:
        """Weights w (rows, features) and bias (rows,) in the network's own units.

        Args:
            V: rows in these coordinates.
            biased: (rows,) which rows have a bias, the others' is zero; all if not given.
        """
        W = V * self.row_scale[:, None] * _inverse(self.feature_scale)
        bias = self.row_mean - W @ self.feature_mean
        return W, bias if biased is None else np.where(biased, bias, 0.0)

    def only(self, rows: Mask) -> "RowProblems":
        """The problems of some rows alone."""
        own = {name: getattr(self, name)[rows] for name in ("g", "c", "prior", "row_scale", "row_mean")}
        return replace(self, **own)

    def through_origin(self) -> "RowProblems":
        """The problems of the same rows without a bias; the diagonal of H is above one then."""
        m, mu = self.means
        return replace(
            self,
            H=self.H + np.outer(m, m),
            g=self.g + np.outer(mu, m),
            c=self.c + mu**2,
            feature_mean=np.zeros_like(self.feature_mean),
            row_mean=np.zeros_like(self.row_mean),
        )

    def with_constant(self) -> "RowProblems":
        """The problems of the same rows with a constant 1 as the last feature, whose weight is the bias."""
        m, _ = self.means
        origin = self.through_origin()
        return replace(
            origin,
            H=np.block([[origin.H, m[:, None]], [m[None, :], np.ones((1, 1))]]),
            g=np.column_stack([origin.g, self.means[1]]),
            prior=np.column_stack([origin.prior, np.zeros(self.rows)]),
            feature_scale=np.append(self.feature_scale, 1.0),
            feature_mean=np.append(origin.feature_mean, 0.0),
        )

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
