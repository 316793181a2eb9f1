"""The native solver against cvxpy with CLARABEL: in Gram form, and on raw samples.

usage: python tools/bench/solvers.py [--oracle-rows 3] [--tolerance 1e-6] [--raw]

Everything runs on one thread. Both solvers get the same objective; the benchmark computes objectives and gaps
itself. CLARABEL solves a few rows, on raw samples (--raw) one: it is slow. Figures are processor seconds a
row, which other jobs on the machine disturb less than wall time.
"""

import argparse

import cvxpy as cp
import numba
import numpy as np
from row_data import Sample, Timed, first_rows, objective, sample, timed

from sim_compress.core import L1, Penalty, solve
from sim_compress.core.engines import one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.core.solvers import solver

# (features, rows, points, whether raw samples are tried too)
PROBLEMS = ((144, 64, 5000, True), (576, 64, 5000, True), (897, 122, 700, False))
# Part of the alpha at which every row is zero.
ALPHA = 0.02


def compare(data: Sample, title: str, penalty: Penalty, oracle_rows: int, tolerance: float) -> Timed:
    """Native on all rows, CLARABEL on the factor of H for a few of them."""
    problems, few = data.problems, first_rows(data.problems, oracle_rows)
    alpha = ALPHA * float(np.abs(problems.g).max())
    solution = solve(problems, penalty, alpha, tolerance=tolerance)
    ours = timed(lambda: solve(problems, penalty, alpha, tolerance=tolerance).rows)
    oracle = timed(lambda: solver("clarabel").solve(few, penalty, alpha, tolerance=tolerance).rows, False)
    apart = objective(few, penalty, alpha, ours.rows[:oracle_rows]) / objective(
        few, penalty, alpha, oracle.rows
    )
    native, conic = ours.cpu / problems.rows, oracle.cpu / oracle_rows
    print(
        f"  {title}: native {native:.2e}, CLARABEL on the factor {conic:.2e}, ratio {conic / native:.0f}; "
        f"largest gap {solution.gap.max():.1e}, objectives apart {np.abs(apart - 1).max():.1e}",
        flush=True,
    )
    return ours


def compare_raw(data: Sample, ours: Timed, tolerance: float) -> None:
    """CLARABEL on the samples themselves, one row, l1."""
    problems = data.problems
    alpha = ALPHA * float(np.abs(problems.g).max())
    raw = timed(lambda: _on_samples(data.X, data.Y[:, 0], alpha, tolerance), False)
    row = first_rows(problems, 1)
    apart = objective(row, L1, alpha, ours.rows[:1]) / objective(row, L1, alpha, raw.rows) - 1
    native = ours.cpu / problems.rows
    print(
        f"  l1 on {len(data.X)} raw samples: native {native:.2e}, CLARABEL {raw.cpu:.2e} (one row), "
        f"ratio {raw.cpu / native:.0f}; objectives apart {np.abs(apart).max():.1e}",
        flush=True,
    )


def _on_samples(X: Matrix, y: Matrix, alpha: float, tolerance: float) -> Matrix:
    """|Xv - y|^2 / (2 points) + alpha |v|, as a user would write it."""
    v = cp.Variable(X.shape[1])
    fit = cp.sum_squares(X @ v - y) / (2 * len(X))
    problem = cp.Problem(cp.Minimize(fit + alpha * cp.norm1(v)))
    problem.solve(solver="CLARABEL", tol_gap_abs=tolerance, tol_gap_rel=tolerance, tol_feas=tolerance)
    return np.asarray(v.value)[None]


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--oracle-rows", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-6)
    parser.add_argument("--raw", action="store_true", help="CLARABEL on raw samples too")
    args = parser.parse_args()
    numba.set_num_threads(1)
    with one_blas_thread():
        for features, rows, points, raw in PROBLEMS:
            data = sample(features, rows, points, damping=0.0 if points > features else 1e-4)
            print(f"{features} features, {rows} rows, {points} points", flush=True)
            ours = compare(data, "l1", L1, args.oracle_rows, args.tolerance)
            if raw and args.raw:
                compare_raw(data, ours, args.tolerance)
            knee = Penalty(float(np.median(np.abs(data.problems.prior))))
            compare(data, "perspective", knee, args.oracle_rows, args.tolerance)


if __name__ == "__main__":
    main()
