"""Time to load an artifact beside the creation of onnxruntime's session on the dense network.

usage: python tools/bench/loading.py NETWORK.onnx ARTIFACT ... [--rounds 20] [--processor-time]

Both in turn, from files that are in the system's cache; the first outputs of a session of ours, for which its
program is made, are shown beside.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import sim_compress
from sim_compress.report.bench import DenseRuntime, made_up_inputs


def measure(network: Path, artifact: Path, rounds: int, clock: Callable[[], float]) -> np.ndarray:
    """(rounds, 3): seconds of onnxruntime's session, of our loading and of our first outputs."""
    inputs = made_up_inputs(sim_compress.load(artifact).model, 1)
    # The compiled kernel itself is loaded once for a process.
    sim_compress.load(artifact, threads=1).predict(inputs)
    times = np.empty((rounds, 3))
    for i in range(rounds):
        moments = [clock()]
        dense = DenseRuntime(network, 1)
        moments.append(clock())
        session = sim_compress.load(artifact, threads=1)
        moments.append(clock())
        session.predict(inputs)
        times[i] = np.diff([*moments, clock()])
        # What it takes to be rid of them is no part of either.
        del dense, session
    return times


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("artifacts", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--processor-time", action="store_true")
    args = parser.parse_args()
    clock = time.process_time if args.processor_time else time.perf_counter
    for artifact in args.artifacts:
        times = measure(args.network, artifact, args.rounds, clock)
        theirs, ours, first = 1e3 * np.median(times, axis=0)
        low, ratio, high = np.quantile(times[:, 0] / times[:, 1], (0.25, 0.5, 0.75))
        print(
            f"{artifact.name:>28}  onnxruntime {theirs:6.1f} ms  ours {ours:6.1f} ms  "
            f"ratio {ratio:.2f} ({low:.2f}..{high:.2f})  first outputs {first:6.1f} ms"
        )


if __name__ == "__main__":
    main()
