"""Processor time against time that passes, of calls with pauses between them.

usage: python tools/bench/waiting.py NETWORK.onnx [--levels 40 90] [--threads 1 2] [--pauses 0 0.1 1 10]
       [--calls 300] [--rounds 5]

A service gets its requests one by one: threads that wait for the next call must not burn a core. For every
pause (ms) the best round is shown: milliseconds of a call, milliseconds of processor time of the whole
process for one call and its pause, and the second over the first. One thread has a ratio of 1, two that share
all work 2 at most; more is waiting.
"""

import argparse
import os
import time
from pathlib import Path

from runtime import pruned

from sim_compress.frontend import load_teacher
from sim_compress.report.bench import made_up_inputs
from sim_compress.runtime import Session

WARM_UP = 100


def measured(session: Session, inputs: dict, pause: float, calls: int) -> tuple[float, float]:
    """Seconds of a call, and of processor time for a call with its pause."""
    passed, worked = 0.0, time.process_time()
    for _ in range(calls):
        began = time.perf_counter()
        session.predict(inputs)
        passed += time.perf_counter() - began
        if pause:
            time.sleep(pause)
    return passed / calls, (time.process_time() - worked) / calls


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("network", type=Path)
    parser.add_argument("--levels", type=float, nargs="+", default=[40, 90])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--pauses", type=float, nargs="+", default=[0, 0.1, 1, 10])
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    dense = load_teacher(args.network).model
    for level in args.levels:
        model = pruned(dense, level, False)
        inputs = dict(made_up_inputs(model, 1))
        for threads in args.threads:
            session = Session(model, kernel="numba", threads=threads)
            for pause in args.pauses:
                measured(session, inputs, pause / 1e3, WARM_UP)
                rounds = [measured(session, inputs, pause / 1e3, args.calls) for _ in range(args.rounds)]
                passed, worked = (1e3 * min(figures) for figures in zip(*rounds, strict=True))
                load = os.getloadavg()[0]
                print(
                    f"{level:g} %  threads {threads}  pause {pause:4g} ms  call {passed:.3f} ms  "
                    f"processor {worked:.3f} ms  ratio {worked / passed:.2f}  load {load:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
