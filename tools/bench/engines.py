"""Time the processes engine against the serial one on row problems, and compare their bytes.

usage: python tools/bench/engines.py [--workers 2] [--features 576] [--rows 64] [--chunks 64] [--repeats 1]

Each chunk is a block's share of rows over one shared Gram: convex solve, l0 polish of its support, refit.
The processes time includes starting the workers. Both engines hold BLAS and numba at one thread a worker.
On a busy machine the ratio measures the other jobs: cpu near wall (serial) and near workers x wall
(processes) says that it was quiet.
"""

import argparse
import os
import time
from dataclasses import dataclass

import numpy as np

from sim_compress.core import L1, Gram, RowProblems, polish, refit, solve, standardise
from sim_compress.core.engines import Arrays, available_cpus, engine

ALPHA = 0.02
FIELDS = ("H", "g", "c", "prior", "feature_scale", "row_scale", "feature_mean", "row_mean")
OF_FEATURES = ("H", "feature_scale", "feature_mean")


def problems(features: int, rows: int, points: int = 4000) -> RowProblems:
    """Correlated non-negative features, as patches of ReLU states are, and noisy targets."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((features, features)) / np.sqrt(features)
    S = np.maximum(mix @ rng.standard_normal((features, points)) + 0.3, 0)
    W = rng.standard_normal((rows, features)) / np.sqrt(features)
    gram = Gram.zeros(features, rows)
    gram.add(S, W @ S + 0.1 * rng.standard_normal((rows, points)))
    return standardise(gram, W, 1e-3)


def chunk(shared: Arrays, rows: tuple[int, int]) -> np.ndarray:
    """Rows start to stop: solved, polished to the support's size, refitted."""
    mine = slice(*rows)
    part = RowProblems(
        **{name: shared[name] if name in OF_FEATURES else shared[name][mine] for name in FIELDS}
    )
    found = solve(part, L1, ALPHA)
    support = polish(part, refit(part, found.support), int(found.support.sum()))
    return refit(part, support)


@dataclass(frozen=True)
class Run:
    """One engine's run over all chunks, its workers started and ended inside."""

    wall: float
    cpu: float
    rows: bytes

    def __str__(self) -> str:
        load = " ".join(f"{value:.1f}" for value in os.getloadavg())
        return f"{self.wall:7.2f} s wall {self.cpu:7.2f} s cpu   load {load}"


def run(name: str, workers: int, shared: Arrays, tasks: list[tuple[int, int]]) -> Run:
    """Time one engine; the seconds of ended worker processes count as this one's children."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    with engine(name, workers) as runner:
        results = runner.map(chunk, tasks, shared)
    rows = b"".join(result.tobytes() for result in results)
    return Run(time.perf_counter() - wall, sum(os.times()[:4]) - cpu, rows)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--features", type=int, default=576)
    parser.add_argument("--rows", type=int, default=64, help="rows in a chunk")
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()

    block = problems(args.features, args.rows * args.chunks)
    shared = {name: getattr(block, name) for name in FIELDS}
    tasks = [(start, start + args.rows) for start in range(0, block.rows, args.rows)]
    chunk(shared, (0, 2))  # numba compiles here, or reads its cache
    print(f"{len(tasks)} chunks of {args.rows} rows x {args.features} features, {available_cpus()} CPUs")
    for _ in range(args.repeats):
        alone = run("serial", 1, shared, tasks)
        print(f"serial    {alone}")
        several = run("processes", args.workers, shared, tasks)
        print(f"processes {several}   {args.workers} workers")
        print(f"ratio {alone.wall / several.wall:.2f}   same bytes: {several.rows == alone.rows}")


if __name__ == "__main__":
    main()
