"""The process that compiles beside a job: the same code, waited for, and gone with the job."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from numba.core import config

from sim_compress.compilation import announcement, companion
from sim_compress.compilation.companion import _RUNNING, Companion
from tests.compilation.conftest import NAME
from tests.compilation.recording import recorded

MODULE = f"{NAME}.scaling"
POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals and forks are those of POSIX")
# What the companion does first, where only the companion does it.
ONLY_THERE = """
import sys
if "sim_compress.compilation.companion_process" in sys.modules:
    {what}
"""
STAYS = "import pathlib, time; pathlib.Path({begun!r}).touch(); time.sleep(600)"


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)


@contextmanager
def running(*modules: str) -> Iterator[Companion]:
    """The companion of this context."""
    with companion(*modules):
        assert len(_RUNNING) == 1
        yield _RUNNING[0]


def begin_with(tiny, what: str) -> None:
    """Let the companion do something before it compiles."""
    module = tiny.folder / "scaling.py"
    module.write_text(ONLY_THERE.format(what=what) + module.read_text())


@pytest.fixture
def stays(tiny, tmp_path) -> Path:
    """The companion never comes to an end by itself; the file is there once it has begun."""
    begun = tmp_path / "begun"
    begin_with(tiny, STAYS.format(begun=str(begun)))
    return begun


def wait_for(file: Path) -> None:
    waiting = threading.Event()
    for _ in range(6000):
        if file.exists():
            return
        waiting.wait(0.01)
    raise AssertionError(f"{file} does not come")


def left_behind(tiny) -> list[str]:
    """Files beside the source that are not whole entries."""
    return [f.name for f in tiny.folder.glob("__pycache__/*") if f.suffix == ".tmp"]


def test_a_kernel_that_the_companion_compiles_is_loaded_and_not_compiled_again(tiny):
    kernel = tiny.start()
    with running(MODULE):
        assert kernel(2) == 6
    assert sum(kernel.stats.cache_hits.values()) == 1
    assert sum(kernel.stats.cache_misses.values()) == 0
    assert len(tiny.entries) == 1


def test_its_files_have_the_names_of_those_made_here(tiny):
    with companion(MODULE):
        assert tiny.start()(2) == 6
    names = [path.name for path in tiny.entries]
    tiny.entries[0].unlink()
    assert tiny.start()(2) == 6
    assert [path.name for path in tiny.entries] == names


def test_other_types_than_those_it_was_told_of_are_compiled_here(tiny, stays):
    kernel = tiny.start()
    with running(MODULE):
        wait_for(stays)
        assert kernel(2.5) == 7.5


@pytest.mark.parametrize("what", ["raise MemoryError", "import os; os._exit(1)", "sys.modules[__name__] = 3"])
def test_where_the_companion_fails_the_job_compiles_for_itself(tiny, what):
    begin_with(tiny, what)
    kernel = tiny.start()
    with running(MODULE):
        assert kernel(2) == 6
    assert sum(kernel.stats.cache_misses.values()) == 1


def test_where_the_companion_would_write_elsewhere_the_job_compiles_for_itself(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "elsewhere"))
    kernel = tiny.start()
    with running(MODULE):
        assert kernel(2) == 6
    assert not list(tmp_path.glob("elsewhere/*/*.nbc"))


def test_a_job_that_waits_says_what_is_compiled(tiny, stays, monkeypatch):
    monkeypatch.setattr(announcement, "NOTICE_AFTER", 0.001)
    kernel = tiny.start()
    with recorded() as lines, running(MODULE) as there:
        wait_for(stays)
        waits = threading.Thread(target=kernel, args=(2,))
        waits.start()
        for _ in range(6000):
            if lines:
                break
            waits.join(0.01)
        assert waits.is_alive()
        there.end()
        waits.join()
    kept = tiny.folder / "__pycache__"
    assert lines[0] == f"compiling scaled (scaling) for this processor, only once: it is kept in {kept}"


def test_nothing_is_started_where_all_is_on_disk(tiny):
    assert tiny.start()(2) == 6
    tiny.start()
    with companion(MODULE):
        assert not _RUNNING


def test_nothing_is_started_on_one_core(tiny, monkeypatch):
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    tiny.start()
    with companion(MODULE):
        assert not _RUNNING


def test_nothing_is_started_where_nothing_can_be_kept(tiny, monkeypatch):
    monkeypatch.setattr("sim_compress.compilation.folders._can_be_written", lambda *_: False)
    tiny.start()
    with companion(MODULE):
        assert not _RUNNING


def test_nothing_is_started_where_numba_does_not_compile(monkeypatch):
    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    with companion("sim_compress.core.refit"):
        assert not _RUNNING


def test_nothing_is_started_by_the_children_of_multiprocessing(tiny, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    tiny.start()
    with companion(MODULE):
        assert not _RUNNING


@pytest.mark.parametrize("executable", ["", "/usr/sbin/uwsgi", None])
def test_nothing_is_started_where_the_executable_is_not_python(tiny, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    tiny.start()
    with companion(MODULE):
        assert not _RUNNING


def test_where_no_process_can_be_started_the_job_compiles_for_itself(tiny, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python3")
    kernel = tiny.start()
    with companion(MODULE):
        assert not _RUNNING
        assert kernel(2) == 6


def test_a_context_inside_another_has_the_same_companion(tiny, stays):
    tiny.start()
    with running(MODULE) as there:
        wait_for(stays)
        with companion(MODULE):
            assert [there] == _RUNNING
        assert there._process.poll() is None


@pytest.mark.parametrize("ending", [None, KeyboardInterrupt, SystemExit])
def test_the_companion_ends_with_the_context_by_itself(tiny, stays, ending):
    def job() -> None:
        nonlocal there
        with running(MODULE) as there:
            wait_for(stays)
            if ending:
                raise ending

    tiny.start()
    there: Companion | None = None
    if ending:
        with pytest.raises(ending):
            job()
    else:
        job()
    assert there is not None
    assert there._process.returncode == 0
    assert not _RUNNING
    assert left_behind(tiny) == []


# A user's script, which has no `if __name__ == "__main__"`, run where files have the names of modules.
SCRIPT = """
import sys, time
sys.path.insert(0, {site!r})
from numba.core import config
config.NUMBA_NUM_THREADS = 2
from sim_compress.compilation import companion
from sim_compress.compilation.companion import _RUNNING
from {name}.scaling import scaled
print("begun", flush=True)
with companion("{name}.scaling"):
    print(_RUNNING[0]._process.pid, flush=True)
    {then}
"""


def script(tiny, then: str) -> list[str]:
    text = SCRIPT.format(site=str(tiny.folder.parent), name=NAME, then=then)
    path = tiny.folder.parent / "script.py"
    path.write_text(text)
    return [sys.executable, str(path)]


def test_a_script_without_a_main_guard_runs_once_wherever_it_is_run(tiny, tmp_path):
    for name in ("json", "numba", "sim_compress"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(3)")
    command = script(tiny, "print(scaled(2), sum(scaled.stats.cache_hits.values()))")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    begun, pid, result = run.stdout.splitlines()
    assert (begun, pid.isdigit(), result) == ("begun", True, "6 1")
    assert "Traceback" not in run.stderr


def _lives(pid: int) -> bool:
    """Whether a process runs; one that has ended stays in the table until it is asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@POSIX
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_companion_of_a_killed_job_ends(tiny, stays, number):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    job = subprocess.Popen(
        script(tiny, "time.sleep(600)"), env=environment, stdout=subprocess.PIPE, text=True
    )
    assert job.stdout is not None
    assert job.stdout.readline() == "begun\n"
    pid = int(job.stdout.readline())
    wait_for(stays)
    assert _lives(pid)
    job.send_signal(number)
    job.communicate()
    waiting = threading.Event()
    for _ in range(3000):
        if not _lives(pid):
            break
        waiting.wait(0.01)
    assert not _lives(pid)
    assert left_behind(tiny) == []


@POSIX
def test_what_signals_mean_is_for_the_parent_to_decide(tiny, stays):
    tiny.start()
    with running(MODULE) as there:
        wait_for(stays)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            there._process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            there._process.wait(0.2)
    assert there._process.returncode == 0


@POSIX
def test_a_fork_compiles_for_itself_and_leaves_the_companion_to_its_parent(tiny, stays):
    kernel = tiny.start()
    with running(MODULE) as there:
        wait_for(stays)
        child = os.fork()
        if not child:
            there.end()
            os._exit(0 if kernel(2) == 6 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert there._process.poll() is None
