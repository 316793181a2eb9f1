"""Time row problems on one thread, on processes and on Ray, and compare their bytes.

usage: python tools/bench/engines.py [--workers 2] [--features 576] [--rows 64] [--chunks 64] [--ray]

Each chunk is a block's share of rows over one shared Gram: convex solve, l0 polish of its support, refit.
Times include starting the workers. All engines hold BLAS and numba at one thread a worker.
On a busy machine the ratio measures the other jobs: cpu near wall (one thread) and near workers x wall
(processes) says that it was quiet.
"""

import argparse
import os
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sim_compress.core import L1, Gram, RowProblems, polish, refit, solve, standardise
from sim_compress.core.engines import Here, Shared, available_cpus, engine

ALPHA = 0.02


def problems(features: int, rows: int, points: int = 4000) -> RowProblems:
    """Correlated non-negative features, as patches of ReLU states are, and noisy targets."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((features, features)) / np.sqrt(features)
    S = np.maximum(mix @ rng.standard_normal((features, points)) + 0.3, 0)
    W = rng.standard_normal((rows, features)) / np.sqrt(features)
    gram = Gram.zeros(features, rows)
    gram.add(S, W @ S + 0.1 * rng.standard_normal((rows, points)))
    return standardise(gram, W, 1e-3)


class Chunk(NamedTuple):
    """Rows start to stop of a block."""

    problems: Shared[RowProblems]
    start: int
    stop: int


def chunk(task: Chunk) -> np.ndarray:
    """Rows solved, polished to the support's size, refitted."""
    problems = task.problems.value
    mine = np.zeros(problems.rows, bool)
    mine[task.start : task.stop] = True
    part = problems.only(mine)
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


def run(name: str, workers: int, block: RowProblems, size: int) -> Run:
    """Time one engine; the seconds of ended worker processes count as this one's children."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    with engine(name, workers) as runner:
        shared = runner.share(block)
        tasks = [Chunk(shared, start, start + size) for start in range(0, block.rows, size)]
        rows = b"".join(result.tobytes() for result in runner.map(chunk, tasks))
    return Run(time.perf_counter() - wall, sum(os.times()[:4]) - cpu, rows)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--features", type=int, default=576)
    parser.add_argument("--rows", type=int, default=64, help="rows in a chunk")
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--ray", action="store_true", help="Ray too")
    args = parser.parse_args()

    block = problems(args.features, args.rows * args.chunks)
    chunk(Chunk(Here(block), 0, 2))  # numba compiles here, or reads its cache
    print(f"{args.chunks} chunks of {args.rows} rows x {args.features} features, {available_cpus()} CPUs")
    for _ in range(args.repeats):
        alone = run("threads", 1, block, args.rows)
        print(f"one thread {alone}")
        for name in ("processes", "ray") if args.ray else ("processes",):
            several = run(name, args.workers, block, args.rows)
            print(f"{name:10} {several}   {args.workers} workers")
            print(f"ratio {alone.wall / several.wall:.2f}   same bytes: {several.rows == alone.rows}")


if __name__ == "__main__":
    main()
