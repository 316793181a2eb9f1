"""All row problems of a network together at one alpha, solved to a duality gap of 1e-6 from zero.

usage: python tools/bench/network_rows.py NETWORK.onnx INPUTS.npz [--sparsity 0.4]

Moments and alpha are those of a compression to that sparsity; only the solve is timed, on all processors.
"""

import argparse
import time

import numpy as np

from sim_compress.compression import Settings, check_calibration, weights_to_keep
from sim_compress.compression.appraisal.outcomes import outcomes
from sim_compress.compression.rows.design import NETWORK
from sim_compress.compression.rows.problems import DAMPING, PENALTIES, Regression, row_blocks, row_limits
from sim_compress.core import allocate, solve_certified, trace
from sim_compress.core.engines import engine, one_blas_thread
from sim_compress.states import Visit, baseline_grams, open_teacher

REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network")
    parser.add_argument("data")
    parser.add_argument("--sparsity", type=float, default=0.4)
    args = parser.parse_args()
    teacher, settings = open_teacher(args.network), Settings(args.sparsity)
    inputs = check_calibration(teacher, dict(np.load(args.data)))
    affines = dict(teacher.model.affines())
    with one_blas_thread(), engine() as workers:
        limits = row_limits(teacher.model, settings.kappa, NETWORK)
        regression = Regression(PENALTIES[settings.objective], DAMPING, limits, NETWORK)
        grams = baseline_grams(teacher, affines, inputs.arrays, workers, lambda _: None)
        blocks = [
            block
            for name, affine in affines.items()
            for block in row_blocks(Visit(name, affine, grams[name]), regression)
        ]
        count = weights_to_keep(list(affines.values()), args.sparsity)
        started = time.perf_counter()
        alpha = allocate(trace(blocks, count, workers), count).alpha
        print(f"paths of all blocks down to alpha {alpha:.3g}: {time.perf_counter() - started:.2f} s")
        for _ in range(REPEATS):
            wall, cpu = time.perf_counter(), time.process_time()
            solutions = [solve_certified(b.problems, b.penalty, alpha, ball=b.ball) for b in blocks]
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            found = outcomes(solutions)
            print(f"{found.named}, gap {found.gap:.1e}: {wall:.2f} s wall, {cpu:.2f} s cpu")


if __name__ == "__main__":
    main()
