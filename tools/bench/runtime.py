"""Time the numba runtime against onnxruntime on the dense network, and the scipy kernel against Picard.

usage: python tools/bench/runtime.py
       python tools/bench/runtime.py NETWORK.onnx [ARTIFACT ...] [--levels 40 50 70 90] [--batches 1 64]
       [--threads 1 2] [--rounds 40] [--random] [--picard] [--processor-time] [--json FILE]

Without arguments it prints the table of `runtime_table.py`: all networks, in processor time of one thread.

Without artifacts the network's own weights are pruned to each level, by magnitude over the whole network
or (--random) anywhere: the pattern of nonzeros decides the time, not their values. Both runtimes take
turns, with the same number of threads; a ratio above 1 means that ours is faster. The load of the machine
is shown, because other jobs slow both down.

--processor-time counts what the calling thread works instead of the time that passes: with one thread that is
right on a busy machine too. With more threads it is refused, because the work of the others would not count.

--picard times the scipy kernel against one Picard iteration on the unrolled matrices A, B, C, D, which an
acyclic network needs once for every block in its longest path.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pruning import thinned
from scipy import sparse

from sim_compress.artifact import read
from sim_compress.frontend import load_teacher
from sim_compress.model import ImplicitModel, matrices
from sim_compress.report.bench import DenseRuntime, Speed, made_up_inputs, measure_speed
from sim_compress.runtime import Session, schedule


def pruned(model: ImplicitModel, level: float, at_random: bool) -> ImplicitModel:
    """The model without so many percent of its weights."""
    rng = np.random.default_rng(0)
    sizes = np.concatenate([abs(w.data) for _, affine in model.affines() for w in affine.weights])
    smallest = np.quantile(sizes, level / 100)

    def kept(weight: sparse.csr_array) -> NDArray[np.bool_]:
        return rng.random(weight.data.size) >= level / 100 if at_random else abs(weight.data) > smallest

    return thinned(model, kept)


def models(args: argparse.Namespace) -> Iterator[tuple[str, ImplicitModel]]:
    """Name and model of everything to time."""
    if args.artifacts:
        yield from ((path.name, read(path).model) for path in args.artifacts)
        return
    dense = load_teacher(args.network).model
    for level in args.levels:
        yield f"{level:g} %", pruned(dense, level, args.random)


def first_call(model: ImplicitModel) -> float:
    """Seconds to the first outputs of a new session, when the compiled code is loaded already."""
    inputs = made_up_inputs(model, 1)
    began = time.perf_counter()
    Session(model, kernel="numba", threads=1).predict(inputs)
    return time.perf_counter() - began


def picard(model: ImplicitModel, rounds: int) -> tuple[float, float]:
    """Seconds for one sample: the scipy kernel, and Picard iteration on the unrolled matrices."""
    A, B, _, _ = (m.astype(np.float32) for m in matrices(model))
    inputs = made_up_inputs(model, 1)
    U = np.concatenate([*(u.ravel() for u in inputs.values()), [1]])[:, None].astype(np.float32)
    x, session = (
        np.zeros((sum(int(np.prod(b.shape)) for b in model.blocks), 1), np.float32),
        Session(model, kernel="scipy"),
    )
    iterations = len(schedule(model))

    def seconds(call: Callable[[], object]) -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    times = [
        (seconds(lambda: session.predict(inputs)), seconds(lambda: A @ x + B @ U)) for _ in range(rounds)
    ]
    ours, step = np.median(times, axis=0)
    return float(ours), float(iterations * step)


def show(name: str, speed: Speed) -> None:
    """One line of the table."""
    ours, theirs = (1e3 * s / speed.batch for s in (speed.ours, speed.theirs))
    load = " ".join(f"{value:.1f}" for value in os.getloadavg()[:2])
    print(
        f"{name:>24}  batch {speed.batch:3}  threads {speed.threads}  ours {ours:8.4f}  onnxruntime "
        f"{theirs:8.4f} ms/sample  ratio {speed.ratio:5.2f} ({speed.low:.2f}..{speed.high:.2f})  load {load}",
        flush=True,
    )


def main() -> None:
    if len(sys.argv) == 1:
        # It builds networks with torch, which one file does without.
        import runtime_table

        runtime_table.main([])
        return
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("artifacts", type=Path, nargs="*")
    parser.add_argument("--levels", type=float, nargs="+", default=[40, 50, 70, 90])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--random", action="store_true")
    parser.add_argument("--picard", action="store_true")
    parser.add_argument("--processor-time", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    if args.processor_time and args.threads != [1]:
        parser.error("--processor-time needs --threads 1")
    clock = time.thread_time if args.processor_time else time.perf_counter
    print(f"{args.network}, {os.cpu_count()} processors, {platform.machine()}, load {os.getloadavg()}")
    rows = []
    for name, model in models(args):
        print(f"{name:>24}  {model.nnz} nonzeros, first call {1e3 * first_call(model):.0f} ms")
        if args.picard:
            ours, plain = picard(model, 3)
            print(
                f"{name:>24}  scipy kernel {1e3 * ours:.1f} ms, Picard {1e3 * plain:.0f} ms: "
                f"{plain / ours:.0f} x"
            )
        for threads in args.threads:
            session, dense = (
                Session(model, kernel="numba", threads=threads),
                DenseRuntime(args.network, threads),
            )
            for batch in args.batches:
                speed = measure_speed(session, dense, made_up_inputs(model, batch), args.rounds, clock)
                show(name, speed)
                rows.append({"model": name, "nonzeros": model.nnz, **asdict(speed)})
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
