"""One process of a fuzz run: judges cases under a limit on time and memory, and says each before and after.

The limits are the system's: a signal that nothing catches ends a hang even inside a library's loop, and a
limit on the address space stops an allocation before it is made (Linux only).
"""

import gc
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path

from sim_compress.errors import SimCompressError
from tools.fuzz.outcome import CRASHED, OVER_MEMORY, REFUSED, Verdict
from tools.fuzz.subject import Subject, generator, opened

# Processor time of one case, and the wall time after which it must be waiting for something that never comes.
SECONDS, WAITING = 10, 120
# Bytes of address space beyond what the process has before a case.
MEMORY = 2**30
DETAIL = 900
# The file descriptor that verdicts are written to.
VERDICTS = 9
# The kind of a case that ends before there is a file.
MAKING = "making the file"


def work(name: str, files: tuple[Path, ...], seed: int, start: int, end: int) -> None:
    """Judge the cases start to end - 1."""
    # A library that warns prints.
    warnings.simplefilter("error")
    subject = opened(name, files)
    with tempfile.TemporaryDirectory() as folder:
        for case in range(start, end):
            if case == start + 1:
                # What the libraries hold by now they keep: no need to look through it after every case.
                gc.freeze()
            judge(subject, name, seed, case, Path(folder) / "spoilt")


def judge(subject: Subject, name: str, seed: int, case: int, place: Path) -> None:
    """Print a crash, before the case can end the process, and then the verdict."""
    say(Verdict(case, MAKING, CRASHED))
    rng = generator(name, seed, case)
    try:
        spoilt = subject.spoilt(rng)
    except Exception:
        say(Verdict(case, MAKING, CRASHED, traceback.format_exc()[-DETAIL:]))
        return
    place.write_bytes(spoilt.data)
    say(Verdict(case, spoilt.kind, CRASHED))
    gc.collect()
    # Starts the count of the most resident memory anew.
    Path("/proc/self/clear_refs").write_text("5")
    before, began = status("VmHWM"), time.process_time()
    limited(True)
    try:
        outcome, detail = subject.judged(spoilt, place, rng)
    except SimCompressError as error:
        outcome, detail = REFUSED, str(error)
    except MemoryError:
        outcome, detail = OVER_MEMORY, traceback.format_exc()
    except Exception:
        outcome, detail = CRASHED, traceback.format_exc()
    finally:
        limited(False)
    took, memory = time.process_time() - began, status("VmHWM") - before
    if memory > MEMORY:
        outcome = OVER_MEMORY
    say(Verdict(case, spoilt.kind, outcome, detail[-DETAIL:], memory, took))


def say(verdict: Verdict) -> None:
    """A verdict as a line on what was stdout; what libraries print goes to stderr."""
    os.write(VERDICTS, (json.dumps(asdict(verdict)) + "\n").encode())


def limited(on: bool) -> None:
    """Set or lift the limits."""
    space = status("VmSize") + MEMORY if on else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_AS, (space, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, SECONDS if on else 0)
    signal.alarm(WAITING if on else 0)


def status(key: str) -> int:
    """An entry of this process's status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    os.dup2(sys.stdout.fileno(), VERDICTS)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    name, seed, start, end, *files = sys.argv[1:]
    work(name, tuple(map(Path, files)), int(seed), int(start), int(end))
