"""The native solver against cvxpy with CLARABEL, and against scikit-learn's Gram lasso, in one run.

usage: python tools/bench/solvers.py [--oracle-rows 3] [--tolerance 1e-6]

Rows are correlated non-negative features with noisy targets, as patches of ReLU states are. Every solver
gets the same objective; the benchmark computes objectives itself and prints how far they are apart.
scikit-learn is optional (pip install scikit-learn). Times of the oracle are for a few rows, all figures are
seconds a row.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable

import numpy as np

from sim_compress.core import L1, Gram, Penalty, RowProblems, solve, standardise
from sim_compress.core.gram import Matrix
from sim_compress.core.solvers import solver


def problems_of(features: int, rows: int, points: int) -> tuple[RowProblems, Matrix, Matrix]:
    """Row problems with their raw standardised design (features, points) and targets (rows, points)."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((features, features)) / np.sqrt(features)
    S = np.maximum(mix @ rng.standard_normal((features, points)) + 0.3, 0)
    W = rng.standard_normal((rows, features))
    Z = W @ S
    Z += 0.1 * Z.std() * rng.standard_normal(Z.shape)
    gram = Gram.zeros(features, rows)
    gram.add(S, Z)
    return standardise(gram, W, 1e-4), S, Z


def seconds(work: Callable[[], Matrix]) -> tuple[float, Matrix]:
    """Time of one call after a first one that compiles."""
    work()
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def objective(problems: RowProblems, penalty: Penalty, alpha: float, V: Matrix) -> Matrix:
    return problems.datafit(V) + alpha * penalty.value(V).sum(axis=1)


def compare(features: int, rows: int, points: int, oracle_rows: int, tolerance: float) -> None:
    problems, S, Z = problems_of(features, rows, points)
    few = RowProblems(
        problems.H,
        problems.g[:oracle_rows],
        problems.c[:oracle_rows],
        problems.prior[:oracle_rows],
        problems.feature_scale,
        problems.row_scale[:oracle_rows],
        problems.feature_mean,
        problems.row_mean[:oracle_rows],
    )
    alpha = 0.02 * float(np.abs(problems.g).max())
    print(f"{features} features, {rows} rows, {points} points, alpha {alpha:.3g}")
    for title, penalty in (("l1", L1), ("perspective", Penalty(float(np.median(np.abs(problems.prior)))))):
        ours, V = seconds(lambda p=penalty: solve(problems, p, alpha, tolerance=tolerance).rows)
        started = time.perf_counter()
        oracle = solver("clarabel").solve(few, penalty, alpha, tolerance=tolerance).rows
        theirs = (time.perf_counter() - started) / oracle_rows
        apart = objective(few, penalty, alpha, V[:oracle_rows]) / objective(few, penalty, alpha, oracle) - 1
        gap = solve(problems, penalty, alpha, tolerance=tolerance).gap.max()
        print(
            f"  {title}: native {ours / rows:.2e}, CLARABEL {theirs:.2e}, "
            f"ratio {theirs * rows / ours:.0f}; "
            f"largest gap {gap:.1e}, objectives apart {np.abs(apart).max():.1e}"
        )
    if importlib.util.find_spec("sklearn"):
        _against_lasso(problems, S, Z, alpha, tolerance)


def _against_lasso(problems: RowProblems, S: Matrix, Z: Matrix, alpha: float, tolerance: float) -> None:
    """scikit-learn's coordinate descent with a precomputed Gram, stopped at the same gap."""
    from sklearn.linear_model import Lasso  # pyright: ignore[reportMissingImports]

    plain = standardise(_gram(S, Z), np.zeros_like(problems.prior), 0.0)
    points = S.shape[1]
    X = np.ascontiguousarray((S.T - plain.feature_mean) / plain.feature_scale)
    targets = ((Z.T - plain.row_mean) / plain.row_scale).T
    G = X.T @ X

    def lasso() -> Matrix:
        model = Lasso(alpha, precompute=G, fit_intercept=False, tol=tolerance, max_iter=100_000)  # pyright: ignore
        return np.array([model.fit(X, y).coef_ for y in targets])

    theirs, coefficients = seconds(lasso)
    ours, V = seconds(lambda: solve(plain, L1, alpha, tolerance=tolerance).rows)
    apart = objective(plain, L1, alpha, V) / objective(plain, L1, alpha, coefficients) - 1
    print(
        f"  l1 on {points} points: native {ours / len(Z):.2e}, scikit-learn {theirs / len(Z):.2e}, "
        f"ratio {theirs / ours:.1f}; objectives apart {np.abs(apart).max():.1e}"
    )


def _gram(S: Matrix, Z: Matrix) -> Gram:
    gram = Gram.zeros(len(S), len(Z))
    gram.add(S, Z)
    return gram


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--oracle-rows", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    args = parser.parse_args()
    for features, rows, points in ((144, 64, 5000), (576, 64, 5000), (897, 122, 700)):
        compare(features, rows, points, args.oracle_rows, args.tolerance)


if __name__ == "__main__":
    main()
