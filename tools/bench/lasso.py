"""The native solver against scikit-learn, celer and skglm on the same l1 problems, to the same certified gap.

usage: python tools/bench/lasso.py [--gap 1e-6]      (pip install scikit-learn celer skglm)

A library stops on a criterion of its own: its tolerance is lowered tenfold until the duality gap of all its
rows, which the benchmark computes, is below the asked one, and that run is timed. Everything runs on one
thread; figures are processor seconds a row.
"""

import argparse
import warnings
from collections.abc import Callable

import celer as celer_package  # pyright: ignore[reportMissingImports]
import numba
import numpy as np
from row_data import Sample, Timed, sample, timed
from skglm import GeneralizedLinearEstimator, datafits, penalties, solvers  # pyright: ignore[reportMissingImports]
from sklearn.linear_model import Lasso  # pyright: ignore[reportMissingImports]

from sim_compress.core import L1, Status, solve
from sim_compress.core.engines import one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.core.solvers.appraisal import appraise, unbounded

PROBLEMS = ((144, 64, 5000), (576, 64, 5000))
ALPHA = 0.02
TOLERANCES = tuple(10.0**-k for k in range(3, 15))
Fit = Callable[[Sample, float, float], Matrix]


def scikit_learn(data: Sample, alpha: float, tolerance: float) -> Matrix:
    """Coordinate descent with a precomputed Gram."""
    G = np.ascontiguousarray(data.problems.H) * len(data.X)
    model = Lasso(alpha, precompute=G, fit_intercept=False, tol=tolerance, max_iter=100_000)  # pyright: ignore
    return np.array([model.fit(data.X, y).coef_ for y in data.Y.T])


def celer(data: Sample, alpha: float, tolerance: float) -> Matrix:
    """Working sets and dual extrapolation, on the samples: it takes no Gram."""
    model = celer_package.Lasso(alpha, tol=tolerance, fit_intercept=False, max_iter=1000)
    return np.array([model.fit(data.X, y).coef_ for y in data.Y.T])


def skglm(data: Sample, alpha: float, tolerance: float) -> Matrix:
    """Working sets and Anderson acceleration in Gram form."""
    descent = solvers.AndersonCD(tol=tolerance, fit_intercept=False, max_iter=1000)
    model = GeneralizedLinearEstimator(datafits.QuadraticHessian(), penalties.L1(alpha), descent)
    H = np.asfortranarray(data.problems.H)
    return np.array([np.ravel(model.fit(H, -g).coef_) for g in data.problems.g])


def certified(fit: Fit, data: Sample, alpha: float, gap: float) -> tuple[Timed, float] | None:
    """The run at the first tolerance that reaches the gap, with its gap; None where none does."""
    problems = data.problems
    for tolerance in TOLERANCES:
        found = timed(lambda t=tolerance: fit(data, alpha, t), warm=tolerance == TOLERANCES[0])
        none = np.zeros(problems.rows)
        reached = appraise(
            problems, L1, alpha, unbounded(problems), found.rows, none, gap, Status.SWEEPS
        ).gap.max()
        if reached <= gap:
            return found, float(reached)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--gap", type=float, default=1e-6)
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # of libraries that stop early; their gap is computed below
    numba.set_num_threads(1)
    with one_blas_thread():
        for features, rows, points in PROBLEMS:
            data = sample(features, rows, points)
            alpha = ALPHA * float(np.abs(data.problems.g).max())
            solution = solve(data.problems, L1, alpha, tolerance=args.gap)
            ours = timed(lambda d=data, a=alpha: solve(d.problems, L1, a, tolerance=args.gap).rows)
            print(f"{features} features, {rows} rows, {points} points, alpha {alpha:.3g}")
            print(f"  native {ours.cpu / rows:.2e}, gap {solution.gap.max():.1e}", flush=True)
            for fit in (scikit_learn, celer, skglm):
                found = certified(fit, data, alpha, args.gap)
                if found is None:
                    print(f"  {fit.__name__} does not reach the gap", flush=True)
                    continue
                theirs, reached = found
                ratio = theirs.cpu / ours.cpu
                print(
                    f"  {fit.__name__} {theirs.cpu / rows:.2e}, gap {reached:.1e}, ratio {ratio:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
