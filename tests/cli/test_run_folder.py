"""NAME.sim.run beside the output: a command that is ended by whatever goes on from it, to the same bytes."""

import json
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.networks import ENV

# Every result is written, however short its work; the process ends itself as it is told to after the n-th.
ENDING = """
import os, resource, signal, sys
from sim_compress.compression.resume import folder
from sim_compress.cli import main

how, results, *command = sys.argv[1:]
folder.LEAST, put = 0.0, folder.RunFolder.put
left = int(results)

def counted(self, *result):
    global left
    left -= 1
    if left == 0 and how == "room":
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
    put(self, *result)
    if left == 0 and how != "room":
        os.kill(os.getpid(), int(how))

folder.RunFolder.put = counted
sys.exit(main(command))
"""
JOB = ("net.onnx", "--tune", "2", "--target-sparsity", "60")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")


def process(how: object, results: int, *command: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", ENDING, str(how), str(results), *command]
    return subprocess.run(arguments, capture_output=True, text=True, env=ENV, check=False)


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def wanted(run) -> bytes:
    """The artifact of a run that nobody disturbed, which is gone again with its report."""
    assert run(*JOB).code == 0
    data = Path("net.sim.safetensors").read_bytes()
    Path("net.sim.safetensors").unlink()
    Path("net.sim.json").unlink()
    return data


@POSIX
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=str
)
def test_a_job_that_is_killed_goes_on_to_the_same_bytes(folder, wanted, number, code):
    before = visible(folder)
    pick = random.Random(int(number))
    for results in (pick.randint(1, 5), pick.randint(1, 2)):
        done = process(int(number), results, *JOB)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        assert visible(folder) == before | {"net.sim.run"}
        assert not [p for p in Path("net.sim.run").iterdir() if p.suffix == ".tmp"]
    done = process(int(number), 1000, *JOB)
    assert done.returncode == 0, done.stderr
    assert "taken from an earlier run: moments" in done.stderr
    assert Path("net.sim.safetensors").read_bytes() == wanted
    assert visible(folder) == before | {"net.sim.safetensors", "net.sim.json"}
    notices = json.loads(Path("net.sim.json").read_text())["notices"]
    assert any("taken from an earlier run" in text for text in notices)


@POSIX
def test_an_interrupted_job_says_how_to_go_on(wanted):
    assert wanted
    done = process(int(signal.SIGINT), 4, *JOB)
    assert done.stderr.splitlines()[-1] == "error: interrupted"
    assert "net.sim.run holds what is done (4 results): the same command goes on" in done.stderr


@POSIX
@pytest.mark.parametrize("results", [1, 4, 8])
def test_a_full_disk_ends_the_job_in_one_line_and_room_lets_it_go_on(folder, wanted, results):
    before = visible(folder)
    done = process("room", results, *JOB)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: net.sim.safetensors: cannot be written")
    assert visible(folder) - {"net.sim.run"} == before
    done = process(9, 1000, *JOB)
    assert done.returncode == 0, done.stderr
    assert Path("net.sim.safetensors").read_bytes() == wanted
    assert visible(folder) == before | {"net.sim.safetensors", "net.sim.json"}


@POSIX
def test_a_sweep_that_is_killed_goes_on_by_level(folder, run):
    command = ("net.onnx", "--tune", "1", "--sweep", "40,60,80", "--keep")
    assert run(*command).code == 0
    wanted = {p.name: p.read_bytes() for p in folder.glob("*.sim.safetensors")}
    assert len(wanted) == 3
    for name in wanted:
        Path(name).unlink()
    done = process(int(signal.SIGKILL), 13, *command)
    assert done.returncode == -9
    done = process(9, 1000, *command)
    assert done.returncode == 0, done.stderr
    assert {p.name: p.read_bytes() for p in folder.glob("*.sim.safetensors")} == wanted
    assert not Path("net.sim.run").exists()


def test_a_run_that_is_kept_serves_another_sparsity(run, folder):
    assert run(*JOB, "--keep-run").code == 0
    kept = visible(Path("net.sim.run"))
    assert {name.split(".")[0] for name in kept} >= {"moments", "manifest"}
    outcome = run("net.onnx", "--tune", "0", "--target-sparsity", 80, "--json")
    assert "taken from an earlier run: moments, paths, curves" in json.loads(outcome.out)["notices"]
    alone = Path("net.sim.safetensors").read_bytes()
    shutil.rmtree("net.sim.run")
    assert run("net.onnx", "--tune", "0", "--target-sparsity", 80).code == 0
    assert Path("net.sim.safetensors").read_bytes() == alone
    assert folder.exists()


def test_a_foreign_folder_is_one_line_and_fresh_starts_over(run):
    assert run(*JOB, "--keep-run").code == 0
    manifest = Path("net.sim.run/manifest.json")
    manifest.write_text(manifest.read_text().replace('"network": "', '"network": "0'))
    before = {p.name: p.read_bytes() for p in manifest.parent.iterdir()}
    code, out, err = run(*JOB)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: net.sim.run: holds a run with another network")
    assert "--fresh" in err
    assert {p.name: p.read_bytes() for p in manifest.parent.iterdir()} == before
    assert run(*JOB, "--fresh").code == 0
    assert not manifest.parent.exists()
