"""sim-compress bench FILE --against MODEL: an artifact beside onnxruntime on the dense network, timed."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Table

import sim_compress
from sim_compress.cli.console import ERR, OUT, note, plain, warning
from sim_compress.cli.tables import facts, steps_table
from sim_compress.errors import InputError
from sim_compress.report.bench import DenseRuntime, Speed, made_up_inputs, measure_speed
from sim_compress.runtime import Session, StepTime, numpy_blocks

BATCHES = (1, 64)


def run(arguments: argparse.Namespace) -> int:
    """Measure every batch size and show it."""
    session = sim_compress.load(arguments.file, threads=arguments.threads)
    dense = DenseRuntime(arguments.against, session.threads)
    batches, told = _batches(arguments, dense.fixed_batch(session.model))
    if told:
        note(told)
    speeds = []
    with ERR.status("", spinner="line") as status:
        for batch in batches:
            status.update(f"measuring batch {batch}")
            inputs = made_up_inputs(session.model, batch)
            speeds.append(measure_speed(session, dense, inputs, arguments.rounds))
    if arguments.json:
        document: dict[str, object] = {
            "file": str(arguments.file),
            "against": str(arguments.against),
            "kernel": session.kernel,
        }
        rows = [asdict(speed) for speed in speeds]
        if arguments.per_step:
            document["steps"] = [
                {"batch": batch, "steps": [asdict(step) for step in _steps(session, batch, arguments.rounds)]}
                for batch in batches
            ]
        plain(json.dumps({**document, "speeds": rows}, indent=2, allow_nan=False) + "\n")
        return 0
    OUT.print(_table(speeds))
    if arguments.per_step:
        for batch in batches:
            OUT.print(steps_table(batch, _steps(session, batch, arguments.rounds)))
    OUT.print(facts(_facts(arguments, session)))
    for speed in speeds:
        if speed.slower:
            warning(f"at batch {speed.batch} onnxruntime on the dense network is faster")
    return 0


def _batches(arguments: argparse.Namespace, fixed: int | None) -> tuple[Sequence[int], str | None]:
    """Batch sizes to time, and why they are not those that are timed elsewhere.

    Raises:
        InputError: others were asked for than the one that the network takes.
    """
    if fixed is None:
        return arguments.batch or BATCHES, None
    if any(batch != fixed for batch in arguments.batch or ()):
        raise InputError(
            f"--batch {' '.join(map(str, arguments.batch))}: {arguments.against} takes a batch of {fixed} "
            "alone: leave --batch out, or export the network with an open batch"
        )
    return (fixed,), f"{arguments.against} takes a batch of {fixed} alone: both are timed with that"


def _table(speeds: list[Speed]) -> Table:
    table = Table()
    for heading in ("batch", "ours", "onnxruntime", "ours", "onnxruntime", "times faster"):
        table.add_column(heading, justify="right")
    for speed in speeds:
        times = (f"{1e3 * seconds:.3f} ms" for seconds in (speed.ours, speed.theirs))
        rates = (f"{rate:,.0f}/s" for rate in speed.throughput)
        spread = f"{speed.ratio:.3g} ({speed.low:.3g}..{speed.high:.3g})"
        table.add_row(str(speed.batch), *times, *rates, spread)
    return table


def _steps(session: Session, batch: int, rounds: int) -> tuple[StepTime, ...]:
    """What every block takes, on inputs made up."""
    return session.profile(made_up_inputs(session.model, batch), rounds)


def _facts(arguments: argparse.Namespace, session: Session) -> dict[str, str]:
    return {
        "ours": f"{arguments.file}, kernel {session.kernel}",
        "onnxruntime": str(arguments.against),
        "threads": f"{session.threads} each",
        "times faster": f"median of {arguments.rounds} rounds in turn, and the middle half of them",
        "steps in numpy": ", ".join(numpy_blocks(session.model) or ()) or "none",
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "?",
    }
