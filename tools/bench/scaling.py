"""How processor time and peak memory of a compression grow, with the slopes of a log-log fit.

    python tools/bench/scaling.py --json scaling.json

One size changes at a time: layers (and with them parameters), calibration samples, width, or workers. The
network is a token encoder with random weights (`graphs.encoder`) at 60 %, without tuning. Every run is a
process of its own with compiled code loaded; memory is the peak less what was held when the run began.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from graphs import encoder

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


def run(folder: Path, workers: int) -> None:
    """One compression, and as JSON its cost."""
    from sim_compress import Settings, compress, open_teacher
    from sim_compress.core.engines import engine

    teacher, inputs = open_teacher(folder / "network.onnx"), np.load(folder / "x.npy")
    # Compiled code is loaded.
    compress(teacher, inputs[:8], Settings(SPARSITY, tune=0))
    held, wall, processor = entry("VmRSS"), time.perf_counter(), time.process_time()
    # From here on the peak is a new one.
    Path("/proc/self/clear_refs").write_text("5")
    with engine("threads", workers) as chosen:
        compress(teacher, inputs, Settings(SPARSITY, tune=0), engine=chosen)
    found = {
        "parameters": teacher.model.parameters,
        "processor": time.process_time() - processor,
        "wall": time.perf_counter() - wall,
        "memory": entry("VmHWM") - held,
    }
    print(json.dumps(found))


def measured(sizes: tuple[int, int, int, int], place: int) -> Cost:
    """One run in a process of its own."""
    width, layers, samples, workers = sizes
    with tempfile.TemporaryDirectory() as own:
        graph, inputs = encoder(width, layers, TOKENS, samples)
        onnx.save(graph, Path(own, "network.onnx"))
        np.save(Path(own, "x.npy"), inputs)
        command = [sys.executable, __file__, "--folder", own, "--workers", str(workers)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(sizes[place], **json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", type=Path, help="written too")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        run(arguments.folder, arguments.workers)
        return
    found = {name: [measured(sizes, PLACE[name]) for sizes in runs] for name, runs in SERIES.items()}
    print("| what grows | sizes | parameters | processor s | slope | peak MB | slope |\n" + "|---" * 7 + "|")
    for name, costs in found.items():
        cells = [
            ", ".join(f"{c.size:,}" for c in costs),
            ", ".join(f"{c.parameters / 1e6:.2f} M" for c in costs),
            ", ".join(f"{c.processor:.1f}" for c in costs),
            f"{slope(costs, 'processor'):.2f}",
            ", ".join(f"{c.memory / 1e6:.0f}" for c in costs),
            f"{slope(costs, 'memory'):.2f}",
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")
    if arguments.json:
        series = {
            name: {
                "runs": [asdict(c) for c in costs],
                "slopes": {key: slope(costs, key) for key in ("processor", "wall", "memory")},
            }
            for name, costs in found.items()
        }
        arguments.json.write_text(json.dumps({"processors": os.cpu_count(), **series}, indent=1) + "\n")


if __name__ == "__main__":
    main()
