"""Time row problems on one thread, on processes and on Ray, and compare their bytes.

usage: python tools/bench/engines.py [--workers 2] [--features 576] [--rows 64] [--chunks 16 32 64] [--ray]
           [--json engines.json] [--plot docs/engines.png]

Each chunk is a block's share of rows over one shared Gram: convex solve, l0 polish of its support, refit.
Times include starting the workers. All engines hold BLAS and numba at one thread a worker.
On a busy machine the ratio measures the other jobs: cpu near wall (one thread) and near workers x wall
(processes) says that it was quiet.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim_compress.core import L1, Gram, RowProblems, polish, refit, solve, standardise
from sim_compress.core.engines import Here, Shared, available_cpus, engine
from sim_compress.errors import MissingExtraError

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


def plot(document: dict[str, Any], path: Path) -> None:
    """Seconds of every engine against rows, as in Fig. 5 of the paper.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "The plot") from error
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axis = figure.subplots()
    for name, runs in document["engines"].items():
        axis.plot([r["rows"] for r in runs], [r["wall"] for r in runs], "o-", label=name)
    axis.set(xlabel=f"rows of {document['features']} features", ylabel="seconds", ylim=(0, None))
    axis.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--features", type=int, default=576)
    parser.add_argument("--rows", type=int, default=64, help="rows in a chunk")
    parser.add_argument("--chunks", type=int, nargs="+", default=[64])
    parser.add_argument("--repeats", type=int, default=1, help="of which the fastest counts")
    parser.add_argument("--ray", action="store_true", help="Ray too")
    parser.add_argument("--json", type=Path, help="figures to write")
    parser.add_argument("--plot", type=Path, help="plot to write: .png, .svg or .pdf")
    args = parser.parse_args()

    names = {"one thread": ("threads", 1), "threads": ("threads", args.workers)}
    names["processes"] = ("processes", args.workers)
    if args.ray:
        names["ray"] = ("ray", args.workers)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    print(f"chunks of {args.rows} rows x {args.features} features, {available_cpus()} CPUs")
    for chunks in args.chunks:
        block = problems(args.features, args.rows * chunks)
        chunk(Chunk(Here(block), 0, 2))  # numba compiles here, or reads its cache
        alone: Run | None = None
        for name, (kind, workers) in names.items():
            runs = [run(kind, workers, block, args.rows) for _ in range(args.repeats)]
            best = min(runs, key=lambda r: r.wall)
            alone = alone or best
            ratio, same = alone.wall / best.wall, all(r.rows == alone.rows for r in runs)
            print(
                f"{block.rows:6} rows  {name:10} {best}   ratio {ratio:.2f}   same bytes: {same}", flush=True
            )
            found[name].append({"rows": block.rows, "wall": best.wall, "cpu": best.cpu})
        document = {"features": args.features, "workers": args.workers, "engines": found}
        if args.json:
            args.json.write_text(json.dumps(document, indent=1) + "\n")
        if args.plot:
            plot(document, args.plot)


if __name__ == "__main__":
    main()
