"""sim-compress bench FILE --against MODEL: an artifact beside onnxruntime on the dense network, timed."""

import argparse
import json
import os
from dataclasses import asdict

from rich.table import Table

import sim_compress
from sim_compress.cli.console import ERR, OUT, plain, warning
from sim_compress.cli.tables import facts
from sim_compress.report.bench import DenseRuntime, Speed, made_up_inputs, measure_speed
from sim_compress.runtime import Session


def run(arguments: argparse.Namespace) -> int:
    """Measure every batch size and show it."""
    session = sim_compress.load(arguments.file, threads=arguments.threads)
    dense = DenseRuntime(arguments.against, session.threads)
    speeds = []
    with ERR.status("", spinner="line") as status:
        for batch in arguments.batch:
            status.update(f"measuring batch {batch}")
            inputs = made_up_inputs(session.model, batch)
            speeds.append(measure_speed(session, dense, inputs, arguments.rounds))
    if arguments.json:
        document = {"file": str(arguments.file), "against": str(arguments.against), "kernel": session.kernel}
        rows = [asdict(speed) for speed in speeds]
        plain(json.dumps({**document, "speeds": rows}, indent=2, allow_nan=False) + "\n")
        return 0
    OUT.print(_table(speeds))
    OUT.print(facts(_facts(arguments, session)))
    for speed in speeds:
        if speed.slower:
            warning(f"at batch {speed.batch} onnxruntime on the dense network is faster")
    return 0


def _table(speeds: list[Speed]) -> Table:
    table = Table()
    for heading in ("batch", "ours", "onnxruntime", "ours", "onnxruntime", "times faster"):
        table.add_column(heading, justify="right")
    for speed in speeds:
        times = (f"{1e3 * seconds:.3f} ms" for seconds in (speed.ours, speed.theirs))
        rates = (f"{rate:,.0f}/s" for rate in speed.throughput)
        spread = f"{speed.ratio:.2f} ({speed.low:.2f}..{speed.high:.2f})"
        table.add_row(str(speed.batch), *times, *rates, spread)
    return table


def _facts(arguments: argparse.Namespace, session: Session) -> dict[str, str]:
    return {
        "ours": f"{arguments.file}, kernel {session.kernel}",
        "onnxruntime": str(arguments.against),
        "threads": f"{session.threads} each",
        "times faster": f"median of {arguments.rounds} rounds in turn, and the middle half of them",
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "?",
    }
