"""Stdout that lacks characters, has no reader or no room: files are written, and the end is a quiet one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.networks import ENV

NAME = "größe 模型.sim.safetensors"
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices are those of Unix")


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """A line of a shell in which `sim` is the command; its exit code is that of the first in a pipe."""
    line = f"set -o pipefail; sim() {{ '{sys.executable}' -m sim_compress \"$@\"; }}; {command}"
    return subprocess.run(
        ["bash", "-c", line], check=False, capture_output=True, env=ENV | environment, timeout=120
    )


@pytest.fixture
def named(compressed) -> Path:
    """An artifact whose name has letters of several alphabets."""
    return compressed.rename(NAME)


@UNIX
@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"gr??e ??.sim.safetensors"),
        ({"PYTHONIOENCODING": "cp1252"}, "größe ??.sim.safetensors".encode("cp1252")),
        ({"PYTHONIOENCODING": "utf-8"}, NAME.encode()),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, b".sim.safetensors"),
    ],
    ids=["ascii", "cp1252", "utf-8", "C"],
)
@pytest.mark.usefixtures("named")
def test_characters_that_an_encoding_lacks_are_replaced(environment, shown):
    done = shell(f"sim inspect '{NAME}'", **environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert shown in done.stdout


@UNIX
@pytest.mark.usefixtures("folder")
def test_a_job_on_a_name_that_cannot_be_printed_ends_well():
    Path("net.onnx").rename("größe.onnx")
    Path("net.calibration.npz").rename("größe.calibration.npz")
    done = shell("sim größe.onnx --target-sparsity 50", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert Path("größe.sim.safetensors").exists()
    assert Path("größe.sim.json").exists()


@UNIX
@pytest.mark.parametrize(
    "command",
    [
        ("inspect", "net.sim.safetensors", "--json"),
        ("inspect", "net.sim.safetensors"),
        ("compare", "net.sim.json"),
        ("--help",),
        ("--version",),
    ],
)
@pytest.mark.parametrize("both", [False, True], ids=["stdout", "stderr too"])
@pytest.mark.usefixtures("compressed")
def test_a_reader_that_has_gone_ends_a_command_quietly(command, both):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        stderr = writer if both else subprocess.PIPE
        done = subprocess.run(
            [sys.executable, "-m", "sim_compress", *command],
            check=False,
            stdout=writer,
            stderr=stderr,
            env=ENV,
        )
    finally:
        os.close(writer)
    # As of tools that the signal of a broken pipe ends: 128 + 13.
    assert (done.returncode, done.stderr) == (141, None if both else b"")


@UNIX
@pytest.mark.usefixtures("compressed")
def test_the_first_line_of_a_table_may_be_all_that_is_read():
    done = shell("sim inspect net.sim.safetensors | head -1")
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize(
    "command",
    [
        "inspect net.sim.safetensors",
        "inspect net.sim.safetensors --json",
        "net.onnx --target-sparsity 40 -o other.sim.safetensors --json",
        "--help",
        "--version",
    ],
)
@pytest.mark.usefixtures("compressed")
def test_a_full_stdout_is_named(command):
    done = shell(f"sim {command} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == b"error: stdout: No space left on device"
    assert b"Traceback" not in done.stderr
    # What was asked for is there all the same.
    assert Path("other.sim.safetensors").exists() == ("other" in command)


@UNIX
@pytest.mark.usefixtures("compressed")
@pytest.mark.parametrize("command", ["inspect net.sim.safetensors", "inspect net.sim.safetensors --json"])
def test_a_closed_stdout_is_no_fault_of_the_command(command):
    done = shell(f"sim {command} >&-")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.usefixtures("folder")
def test_a_full_stderr_leaves_the_exit_code():
    assert shell("sim inspect none.sim.safetensors 2> /dev/full").returncode == 2
