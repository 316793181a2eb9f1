"""The row problems of one block in standard coordinates, and the way back to the network's units.

    minimise over v:  1/2 (v'Hv - 2 g'v + c) + alpha * sum_j P(v_j)    s.t.  sum_j ball_j |v_j| <= radius

The bias is not penalised, so it is eliminated exactly: features and targets are centred. Features are
divided by their damped deviation d_j and targets by theirs, t_i: v = w d / t. The result does not change when
a feature is shifted, nor when a row is rescaled, and one alpha means the same relative error everywhere.

A row without a bias misses the mean of its target too, by r = mu - m'v in these coordinates, with m and mu
the scaled means. That adds r^2 / 2 to its datafit: one more data point, m, of weight one.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Gram, Matrix

Mask = NDArray[np.bool_]
# From 2 and 16 samples of the shipped MLP 4 is as good as no bound, and 1 a little worse.
SHARE = 4.0


@dataclass(frozen=True)
class RowProblems:
    """All rows of one block; they share H.

    Attributes:
        H: (features, features), unit diagonal, damping included; zero where d is.
        g: (rows, features).
        c: (rows,), 1, or 0 where t is.
        prior: the teacher's rows in these coordinates, (rows, features); the damping pulls towards it.
        feature_scale, row_scale: d and t; zero where neither data nor damping vary.
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

    def to_network(self, V: Matrix, biased: Mask | None = None) -> tuple[NDArray[np.float32], Matrix]:
        """Weights w (rows, features), in float32, and bias (rows,) in the network's own units.

        The bias takes up the rounding of the weights, which large means would multiply.

        Args:
            V: rows in these coordinates.
            biased: (rows,) which rows have a bias, the others' is zero; all if not given.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            W = (V * self.row_scale[:, None] * _inverse(self.feature_scale)).astype(np.float32)
            bias = self.row_mean - W.astype(np.float64) @ self.feature_mean
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
