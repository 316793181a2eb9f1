"""However a job ends, no process stays: Ctrl-C, SIGTERM, a killed parent, a killed worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sim_compress.core.engines import Engine, engine
from sim_compress.errors import SolverError
from tests.core.engines import functions

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")

ROOT = Path(__file__).parents[3]
# Far more than any ending takes on a busy machine, far less than a worker left behind would wait.
LIMIT = 60
JOB = """
import sys
from sim_compress.core.engines import engine
from tests.core.engines.functions import never_end

try:
    with engine("processes", 2) as workers:
        print(workers.share(1).file, flush=True)
        list(workers.map(never_end, range(4)))
except KeyboardInterrupt:
    sys.exit(130)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    """Run a script in a process group of its own."""
    script = folder / "job.py"
    script.write_text(JOB)
    return subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def ended(job: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr, once every process that holds the job's stdout or stderr has ended."""
    try:
        _, err = job.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        raise
    return job.returncode, err


@pytest.mark.parametrize(
    ("number", "whole_group", "code"),
    [
        pytest.param(signal.SIGINT, True, 130, id="ctrl-c"),
        pytest.param(signal.SIGINT, False, 130, id="interrupted-parent"),
        pytest.param(signal.SIGTERM, False, -signal.SIGTERM, id="terminated-parent"),
        pytest.param(signal.SIGKILL, False, -signal.SIGKILL, id="killed-parent"),
    ],
)
def test_a_signal_ends_the_workers_in_their_tasks_and_removes_their_files(
    tmp_path, number, whole_group, code
):
    job = start(tmp_path)
    assert job.stdout is not None
    shared = Path(job.stdout.readline().strip())
    assert shared.exists()
    assert [job.stdout.readline() for _ in range(2)] == ["running\n"] * 2
    (os.killpg if whole_group else os.kill)(job.pid, number)
    found, said = ended(job)
    assert found == code
    # What loky says when it cleans up after a process that could not.
    assert all("leaked" in line or "warnings.warn" in line for line in said.splitlines())
    assert not shared.parent.exists()


def test_an_error_of_the_caller_inside_the_context_ends_the_workers():
    pids = []

    def fail_after_work(workers: Engine) -> None:
        pids.extend(workers.map(functions.pid, range(4)))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), engine("processes", 2) as workers:
        fail_after_work(workers)
    assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_killed_worker_takes_the_others_with_it():
    with engine("processes", 2) as workers:
        pids = set(workers.map(functions.pid, range(8)))
        with pytest.raises(SolverError):
            list(workers.map(functions.die, range(4)))
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
