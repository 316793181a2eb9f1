"""Size and load time of artifacts beside the dense ONNX file they came from.

usage: python tools/bench/files.py NETWORK.onnx ARTIFACT ... [--eval SET.npz] [--rounds 40]

Every artifact as it is and with its values rounded to float16 and bfloat16: bytes against the ONNX file and
its gzip, bits of the supports against their entropy, accuracy on the set if one is given. Then the time to
load each, in turn with the creation of an onnxruntime session of the dense network.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

from sim_compress import load
from sim_compress.artifact import read, sizes, write
from sim_compress.certificate import certify
from sim_compress.model import VALUES, ImplicitModel, rounded
from sim_compress.report import gzip_size, measure
from sim_compress.runtime import Session


def accuracy(model: ImplicitModel, path: Path) -> float:
    """Percent of the labelled samples that the model has right."""
    data = np.load(path)
    inputs = {i.name: data[i.name] for i in model.inputs}
    (score,) = measure(Session(model), None, inputs, data["labels"])
    return 100 * float(score.accuracy_after or 0)


def show_sizes(network: Path, artifacts: list[Path], evaluation: Path | None) -> None:
    dense, gzipped = network.stat().st_size, gzip_size(network)
    print(f"{network.name}: {dense} bytes, {gzipped} in gzip")
    print("| artifact | values | bytes | / dense | / gzip | supports / entropy | values / plain | accuracy |")
    print("|---|---|---|---|---|---|---|---|")
    for path in artifacts:
        artifact = read(path)
        for values in VALUES:
            model = rounded(artifact.model, values)
            with tempfile.TemporaryDirectory() as folder:
                size = write(Path(folder) / "x", model, certify(model), artifact.provenance)
            parts = sizes(model)
            right = "" if evaluation is None else f"{accuracy(model, evaluation):.2f}"
            print(
                f"| {path.name} | {values} | {size} | {size / dense:.3f} | {size / gzipped:.3f} "
                f"| {parts.supports / max(parts.supports_bound, 1):.3f} "
                f"| {parts.values / parts.values_plain:.3f} | {right} |",
                flush=True,
            )


def show_times(network: Path, artifacts: list[Path], rounds: int) -> None:
    def session(threads: int) -> Callable[[], object]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        providers = ["CPUExecutionProvider"]
        return lambda: onnxruntime.InferenceSession(str(network), options, providers=providers)

    jobs: dict[str, Callable[[], object]] = {
        "onnxruntime, its own choice of threads": session(0),
        "onnxruntime, 1 thread": session(1),
        **{f"load {path.name}": lambda path=path: load(path) for path in artifacts},
    }
    for job in jobs.values():
        job()
    wall: dict[str, list[float]] = {name: [] for name in jobs}
    work = dict.fromkeys(jobs, 0.0)
    for _ in range(rounds):
        for name, job in jobs.items():
            start, used = time.perf_counter(), time.process_time()
            job()
            wall[name].append(1000 * (time.perf_counter() - start))
            work[name] += 1000 * (time.process_time() - used) / rounds
    print("\n| | median ms | least ms | processor ms |\n|---|---|---|---|")
    for name, times in wall.items():
        print(f"| {name} | {median(times):.1f} | {min(times):.1f} | {work[name]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("artifacts", type=Path, nargs="+")
    parser.add_argument("--eval", type=Path, dest="evaluation")
    parser.add_argument("--rounds", type=int, default=40)
    args = parser.parse_args()
    show_sizes(args.network, args.artifacts, args.evaluation)
    show_times(args.network, args.artifacts, args.rounds)


if __name__ == "__main__":
    main()
