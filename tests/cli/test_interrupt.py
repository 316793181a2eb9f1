"""Ctrl-C and SIGTERM during a run: one line, the exit code of the signal, nothing left behind."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.cli.networks import ENV, names

# The job as it is, but its measurement waits until the signal comes.
WAITING = """
import sys, time
import sim_compress.cli.outcome as outcome
from sim_compress.cli import main

def measure(*_):
    print("waiting", flush=True)
    time.sleep(60)

outcome.measure = measure
sys.exit(main(["net.onnx", "--target-sparsity", "40"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 129, "terminated"),
    ],
)
def test_a_signal_ends_the_job_without_a_trace(folder, number, code, word):
    before = names(folder)
    with tempfile.TemporaryDirectory() as scratch:
        job = subprocess.Popen(
            [sys.executable, "-c", WAITING],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENV | {"TMPDIR": scratch},
        )
        assert job.stdout is not None
        assert job.stdout.readline() == "waiting\n"
        job.send_signal(number)
        out, err = job.communicate(timeout=30)
        # onnxruntime keeps a file of its own there.
        assert not [name for name in names(Path(scratch)) if name != ".ses"]
    assert job.returncode == code
    assert out == ""
    assert err.splitlines()[-1] == f"error: {word}"
    assert "Traceback" not in err
    assert names(folder) == before


@pytest.mark.parametrize(
    "stage", ["job.load_job", "compress.compress", "outcome.measure", "outcome.readable"]
)
def test_an_interruption_in_any_stage_is_exit_code_130(run, monkeypatch, stage):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"sim_compress.cli.{stage}", interrupt)
    code, out, err = run("net.onnx", "--target-sparsity", 40)
    assert code == 130
    assert out == ""
    assert err.splitlines()[-1] == "error: interrupted"


def test_running_out_of_memory_is_one_line(run, monkeypatch):
    def measure(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("sim_compress.cli.outcome.measure", measure)
    code, out, err = run("net.onnx", "--target-sparsity", 40)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: out of memory: ")


def test_an_interrupted_job_leaves_the_older_artifact_and_its_report(run, folder, monkeypatch, compressed):
    before = {name: Path(name).read_bytes() for name in names(folder)}

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim_compress.cli.outcome.measure", interrupt)
    assert run("net.onnx", "--target-sparsity", 80).code == 130
    assert {name: Path(name).read_bytes() for name in names(folder)} == before
    assert compressed.exists()
