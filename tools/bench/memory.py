"""The peak memory of a run against its plan, for several classes of networks, with and without a limit.

    python tools/bench/memory.py
    python tools/bench/memory.py encoder --json memory.json

Every run is a process of its own; compiled code is there already. The peak is VmHWM: what was in memory at
once, pages of mapped files among it. The bar: no more than twice the plan, and with --memory never above it.
The limit is what the plan of the smallest way takes; `same bytes` compares the two artifacts.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from graphs import Network, encoder, images, perceptron

MODELS = Path(__file__).parents[2] / "models"
MEGABYTE = 1e6
COLUMNS = ("limit MB", "plan MB", "peak MB", "peak / plan", "begun", "passes", "MB on disk", "same bytes")


@dataclass(frozen=True)
class Case:
    """A class of networks.

    Attributes:
        network: gives the graph and its calibration inputs.
        tune: epochs.
    """

    network: Callable[[], Network]
    tune: int = 0


def resnet() -> Network:
    """That of models/, with its images."""
    return onnx.load(MODELS / "resnet20.onnx"), np.load(MODELS / "resnet20.calibration.npz")["images"][:128]


CASES = {
    "resnet20": Case(resnet, tune=1),
    "encoder": Case(encoder, tune=1),
    "wide": Case(perceptron),
    "images": Case(images),
}


def run(folder: Path, tune: int, memory: int | None) -> None:
    """One run, and as JSON its plan, that of the smallest way, and its peak."""
    from sim_compress import Settings, compress, open_teacher
    from sim_compress.compression import MemoryPlan, Target, memory_plan, prepared, runs
    from sim_compress.core.engines import engine

    teacher, settings = open_teacher(folder / "network.onnx"), Settings(0.6, tune=tune)
    inputs = np.load(folder / "x.npy")
    with engine() as workers:
        smallest = memory_plan(Target(prepared(teacher, inputs, settings), settings, workers), 1)
    plans: list[MemoryPlan] = []
    plan = runs.memory_plan

    def kept(target: Target, memory: int | None) -> MemoryPlan:
        plans.append(plan(target, memory))
        return plans[-1]

    runs.memory_plan = kept
    compress(teacher, inputs, settings, memory=memory).save(folder / "a.safetensors")
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    digest = hashlib.sha256((folder / "a.safetensors").read_bytes()).hexdigest()
    parts = {p.name: b for p, b in zip(plans[0].parts, plans[0].bytes, strict=True)}
    found = {"plan": plans[0].peak, "held": plans[0].held, "parts": parts, "room": asdict(plans[0].room)}
    print(json.dumps({**found, "smallest": smallest.peak, "peak": peak, "sha256": digest}))


def child(folder: Path, tune: int, memory: int | None) -> dict[str, Any]:
    """A run in a process of its own."""
    command = [sys.executable, __file__, "--folder", str(folder), "--tune", str(tune)]
    command += [] if memory is None else ["--memory", str(memory)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="all if not given")
    parser.add_argument("--json", type=Path, help="written too")
    for hidden, kind in (("--folder", Path), ("--tune", int), ("--memory", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        run(arguments.folder, arguments.tune, arguments.memory)
        return
    found: list[dict[str, Any]] = []
    print(f"| network | {' | '.join(COLUMNS)} |")
    print("|---" * 9 + "|")
    for name in arguments.cases or CASES:
        with tempfile.TemporaryDirectory() as own:
            folder, case = Path(own), CASES[name]
            graph, inputs = case.network()
            onnx.save(graph, folder / "network.onnx")
            np.save(folder / "x.npy", inputs)
            free = {"limit": None, **child(folder, case.tune, None)}
            # What a process holds when it begins differs a little.
            limit = round(1.02 * free["smallest"])
            rows = [free, {"limit": limit, **child(folder, case.tune, limit)}]
            for row in rows:
                limit = "none" if row["limit"] is None else f"{row['limit'] / MEGABYTE:,.0f}"
                room, same = row["room"], row["sha256"] == rows[0]["sha256"]
                print(
                    f"| {name} | {limit} | {row['plan'] / MEGABYTE:,.0f} | {row['peak'] / MEGABYTE:,.0f} "
                    f"| {row['peak'] / row['plan']:.2f} | {room['begun']} | {room['passes']} "
                    f"| {room['on_disk'] / MEGABYTE:,.0f} | {'yes' if same else 'NO'} |",
                    flush=True,
                )
                assert row["peak"] <= 2 * row["plan"], "the plan says too little"
                assert row["limit"] is None or row["peak"] <= row["limit"], "the limit was not kept"
            found += [{"network": name, **row} for row in rows]
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
