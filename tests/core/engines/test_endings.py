"""However a job ends, no process stays: Ctrl-C, SIGTERM, a killed parent, a killed worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sim_compress.core.engines import Engine, engine
from sim_compress.errors import InputError, SolverError
from tests.core.engines import functions

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")

ROOT = Path(__file__).parents[3]
# Far more than any ending takes on a busy machine, far less than a worker left behind would wait.
LIMIT = 60
JOB = """
import sys
import numpy as np
from sim_compress.core.engines import Engine, engine
from tests.core.engines.functions import never_end

def main():
    try:
        with engine("processes", 2) as workers:
            workers.map(never_end, range(4), {"H": np.ones((500, 500))})
    except KeyboardInterrupt:
        sys.exit(130)
"""
GUARD = """
if __name__ == "__main__":
    main()
"""
# Workers import the script before anything else and stay there.
SLOW_START = """
if __name__ == "__mp_main__":
    import os, time
    os.write(1, b"running\\n")
    time.sleep(600)
"""
UNGUARDED = "main()"


def start(folder: Path, *parts: str) -> subprocess.Popen[str]:
    """Run a script in a process group of its own."""
    script = folder / "job.py"
    script.write_text("".join(parts))
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
def test_a_signal_ends_the_workers_in_their_tasks_without_a_word(tmp_path, number, whole_group, code):
    job = start(tmp_path, JOB, GUARD)
    assert job.stdout is not None
    assert [job.stdout.readline() for _ in range(2)] == ["running\n"] * 2
    (os.killpg if whole_group else os.kill)(job.pid, number)
    assert ended(job) == (code, "")


def test_ctrl_c_reaches_no_worker_that_is_still_starting(tmp_path):
    job = start(tmp_path, JOB, GUARD, SLOW_START)
    assert job.stdout is not None
    assert job.stdout.readline() == "running\n"
    os.killpg(job.pid, signal.SIGINT)
    assert ended(job) == (130, "")


def test_a_script_without_a_guard_is_told_of_it(tmp_path):
    code, err = ended(start(tmp_path, JOB, UNGUARDED))
    assert code == 1
    assert "must do so under if __name__ == '__main__'" in err.splitlines()[-1]


def test_a_killed_worker_is_a_named_error_and_the_others_end_too():
    with engine("processes", 2) as workers:
        pids = set(workers.map(functions.pid, range(8)))
        with pytest.raises(SolverError, match=r"was killed with task 2: .*use fewer workers"):
            workers.map(functions.die, range(4), {"H": np.ones(10)})
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        assert workers.map(functions.double, [1, 2]) == [2, 4]


def test_an_error_of_the_caller_inside_the_context_ends_the_workers():
    pids = []

    def fail_after_work(workers: Engine) -> None:
        pids.extend(workers.map(functions.pid, [0]))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), engine("processes", 1) as workers:
        fail_after_work(workers)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_worker_cannot_have_workers(pool):
    with pytest.raises(InputError, match="cannot run inside a worker process; use 'serial' there"):
        pool.map(functions.nest, [0])
