"""Cases side by side in processes that are started again after a crash or a hang."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.fuzz.outcome import CRASHED, HUNG, Verdict

ROOT = Path(__file__).parents[2]
# Cases of one process: enough that starting it does not count, few enough that both processors end together.
CHUNK = 500
SIGNALS = (signal.SIGPROF, signal.SIGALRM)


def verdicts(
    subject: str, files: Sequence[Path], seed: int, cases: range, workers: int = 1
) -> Iterator[Verdict]:
    """The verdict of every case, in order.

    Args:
        subject: a name of `subject.SUBJECTS`.
        files: intact files to spoil beside those that are made up.
        cases: their numbers.
        workers: processes side by side.
    """
    chunks = [cases[i : i + CHUNK] for i in range(0, len(cases), CHUNK)]
    with ThreadPoolExecutor(workers) as pool:
        for chunk in pool.map(lambda c: list(_judged(subject, files, seed, c)), chunks):
            yield from chunk


def _judged(subject: str, files: Sequence[Path], seed: int, cases: range) -> Iterator[Verdict]:
    """Verdicts of one process after the other."""
    start = cases.start
    while start < cases.stop:
        run = _process(subject, files, seed, start, cases.stop)
        found = [Verdict(**json.loads(line)) for line in run.stdout.splitlines()]
        if not found:
            raise RuntimeError(f"no case was begun: {run.stderr}")
        by_case = {verdict.case: verdict for verdict in found}
        last = max(by_case)
        if run.returncode:
            ended = HUNG if -run.returncode in SIGNALS else CRASHED
            by_case[last] = Verdict(last, by_case[last].kind, ended, run.stderr[-800:])
        yield from by_case.values()
        start = last + 1


def _process(
    subject: str, files: Sequence[Path], seed: int, start: int, end: int
) -> subprocess.CompletedProcess[str]:
    numbers = map(str, (seed, start, end))
    command = [sys.executable, "-m", "tools.fuzz.worker", subject, *numbers, *map(str, files)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
