"""How processor time and peak memory of a compression grow, with the slopes of a log-log fit.

    python tools/bench/scaling.py --json scaling.json

One size changes at a time: layers (and with them parameters), calibration samples, width, or workers. The
network is a token encoder with random weights (`graphs.encoder`) at 60 %, without tuning. Every run is a
process of its own with compiled code loaded; memory is the peak less what was held when the run began.
"""

import argparse
import json
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from graphs import encoder

from sim_compress import Settings, compress, open_teacher
from sim_compress.core.engines import engine

SPARSITY, TOKENS = 0.6, 16
# What changes -> width, layers, samples and workers of each run.
SERIES = {
    "layers": [(64, layers, 128, 2) for layers in (1, 2, 4, 8)],
    "samples": [(64, 1, samples, 2) for samples in (256, 512, 1024, 2048)],
    "width": [(width, 1, 128, 2) for width in (64, 128, 192, 256)],
    "workers": [(64, 1, 1024, workers) for workers in (1, 2, 4, 8)],
}
PLACE = {"layers": 1, "samples": 2, "width": 0, "workers": 3}


@dataclass(frozen=True)
class Cost:
    """One run.

    Attributes:
        size: what changes.
        parameters: of the network.
        processor, wall: seconds.
        memory: bytes at the peak, beside what was held at the beginning.
    """

    size: int
    parameters: int
    processor: float
    wall: float
    memory: int


def slope(costs: list[Cost], name: str) -> float:
    """Of log cost against log size."""
    sizes, values = ([float(getattr(c, key)) for c in costs] for key in ("size", name))
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def entry(key: str) -> int:
    """One of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def run(sizes: tuple[int, int, int, int], place: int) -> Cost:
    """One compression."""
    width, layers, samples, workers = sizes
    graph, inputs = encoder(width, layers, TOKENS, samples)
    teacher = open_teacher(graph)
    held, wall, processor = entry("VmRSS"), time.perf_counter(), time.process_time()
    # From here on the peak is a new one.
    Path("/proc/self/clear_refs").write_text("5")
    with engine("threads", workers) as chosen:
        compress(teacher, inputs, Settings(SPARSITY, tune=0), engine=chosen)
    processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return Cost(sizes[place], teacher.model.parameters, processor, wall, entry("VmHWM") - held)


def measured(sizes: tuple[int, int, int, int], place: int) -> Cost:
    """One run in a process of its own, forked from this one, which has all code loaded."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(run, (sizes, place))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("series", nargs="*", help=f"some of {', '.join(SERIES)} (default: all)")
    parser.add_argument("--json", type=Path, help="written too, after every series")
    arguments = parser.parse_args()
    graph, inputs = encoder(32, 1, TOKENS, 8)
    compress(graph, inputs, Settings(SPARSITY, tune=0))
    found: dict[str, Any] = {"processors": os.cpu_count()}
    print("| what grows | sizes | parameters | processor s | slope | peak MB | slope |\n" + "|---" * 7 + "|")
    for name in arguments.series or SERIES:
        costs = [measured(sizes, PLACE[name]) for sizes in SERIES[name]]
        slopes = {key: slope(costs, key) for key in ("processor", "wall", "memory")}
        cells = [
            ", ".join(f"{c.size:,}" for c in costs),
            ", ".join(f"{c.parameters / 1e6:.2f} M" for c in costs),
            ", ".join(f"{c.processor:.1f}" for c in costs),
            f"{slopes['processor']:.2f}",
            ", ".join(f"{c.memory / 1e6:.0f}" for c in costs),
            f"{slopes['memory']:.2f}",
        ]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        found[name] = {"runs": [asdict(c) for c in costs], "slopes": slopes}
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
