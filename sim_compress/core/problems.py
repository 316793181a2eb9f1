"""The row problems of one block in standard coordinates, and the way back to the network's units.

    minimise over v:  1/2 (v'Hv - 2 g'v + c) + alpha * sum_j P(v_j)    s.t.  sum_j ball_j |v_j| <= radius

The bias is not penalised, so it is eliminated exactly: features and targets are centred. Features are
divided by their damped deviation d_j and targets by theirs, t_i: v = w d / t. The result does not change when
a state or a row is rescaled, and one alpha means the same relative error everywhere.
"""

from dataclasses import dataclass

import numpy as np

from sim_compress.core.gram import Gram, Matrix
# From 2 and 16 samples of the shipped MLP 4 is as good as no bound, and 1 a little worse.
SHARE = 4.0


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
        damping: strength of the pull towards the teacher's row, as a part of the features' variances: as if
            so many data points more had features that are independent and targets that are the teacher's.
            A singular Gram (fewer data points than features, features or targets that happen to be
            constant) then has a unique solution, and that is the row known to be exact rather than zero.
    """
    n, variance = gram.points, gram.variance
    added = damping * _expected(variance, gram.feature_mean, teacher)
    d = np.sqrt(variance + added)
    t = np.sqrt(gram.target_variance + teacher**2 @ added)
    prior = teacher * d * _inverse(t)[:, None]
    pull = added * _inverse(d) ** 2
    # Rounding of constant features says nothing.
    seen = np.where(variance > 0, _inverse(d), 0.0)
    H = gram.scatter * np.outer(seen / n, seen)
    H[np.diag_indices_from(H)] = d > 0
    return RowProblems(
        H=H,
        g=gram.cross * (_inverse(t)[:, None] / n) * seen + pull * prior,
        c=(t > 0).astype(np.float64),
        prior=prior,
        feature_scale=d,
        row_scale=t,
        feature_mean=gram.feature_mean,
        row_mean=gram.target_mean,
    )


def _expected(variance: Matrix, mean: Matrix, teacher: Matrix) -> Matrix:
    """What features may vary by on other data, (features,).

    That is their variance here or, if that is less, the mean of all, but no more than gives a feature
    SHARE times the mean share of the variance of the teacher's rows: features may have different units.
    Where all are constant their squares take the place of variances.
    """
    known = next((v for v in (variance, mean**2) if v.any()), np.ones_like(variance))
    rows = teacher**2 @ known
    shares = (teacher**2 * _inverse(rows)[:, None]).sum(axis=0) / max(np.count_nonzero(rows), 1)
    bound = np.divide(SHARE / len(shares), shares, out=np.full_like(shares, np.inf), where=shares > 0)
    return np.maximum(known, np.minimum(known.mean(), bound))


def _inverse(scale: Matrix) -> Matrix:
    """1 / scale, zero where the scale is zero: a constant feature or row gets no weight."""
    return np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
