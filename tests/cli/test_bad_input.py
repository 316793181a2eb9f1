"""Bad input: one message that says what is wrong and where, exit code 2, nothing written."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from sim_compress.cli import output
from sim_compress.errors import SolverError
from tests.cli.networks import classifier, names, two_ends
from tests.cli.spoiling import CASES, JOB, save_image_folder, save_unsupported


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_message_and_leaves_nothing_behind(run, folder, case):
    spoil, arguments, words = CASES[case]
    spoil()
    before = names(folder)
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    # A refusal may follow the progress of the stages that were over.
    message = err[err.index("error: ") :]
    assert "Traceback" not in err
    for word in words:
        assert word in message
    assert names(folder) == before


def test_every_unsupported_node_is_on_a_line_of_one_message(run):
    save_unsupported()
    err = run(*JOB).err
    assert err.count("error: ") == 1


def test_an_unwritable_folder_is_refused_before_any_work(run, folder, monkeypatch):
    (folder / "locked").mkdir()

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    # The tests may run as a user whom no rights bind.
    monkeypatch.setattr(output.tempfile, "TemporaryFile", refuse)
    code, _, err = run(*JOB, "-o", "locked/net.sim.safetensors")
    assert code == 2
    assert err.startswith("error: locked/net.sim.safetensors: the folder locked is not writable")
    assert "Permission denied" in err
    assert "load" not in err


def test_a_solver_that_cannot_be_used_is_refused_before_the_network_is_read(run, monkeypatch):
    monkeypatch.setattr("sim_compress.core.solvers.usable", refuse_licence)
    code, out, err = run("none.onnx", "--target-sparsity", 40, "--solver", "mosek")
    assert (code, out, err) == (2, "", "error: no licence for mosek\n")


def refuse_licence(name: str) -> None:
    raise SolverError(f"no licence for {name}")


@pytest.mark.parametrize("failing", ["artifact", "report"])
def test_a_disk_that_fills_up_is_one_message_and_no_partial_file(run, folder, monkeypatch, failing):
    before = names(folder)
    replace = os.replace

    def full(source: Path, target: Path) -> None:
        if Path(target).suffix == {"artifact": ".safetensors", "report": ".json"}[failing]:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    code, _, err = run(*JOB)
    assert code == 2
    assert "No space left on device" in err
    written = [] if failing == "artifact" else ["net.sim.safetensors"]
    assert names(folder) == sorted(before + written)


def test_images_without_pillow_name_the_extra_to_install(run, monkeypatch):
    save_image_folder()
    monkeypatch.setitem(sys.modules, "PIL", None)
    code, _, err = run(*JOB, "--data", "photos")
    assert code == 2
    assert "pip install 'sim-compress[images]'" in err


def test_a_folder_of_images_goes_with_one_image_input_alone(run):
    onnx.save(two_ends(), "two.onnx")
    save_image_folder()
    code, _, err = run("two.onnx", "--target-sparsity", 40, "--data", "photos")
    assert code == 2
    assert "left, right" in err


def test_a_folder_of_images_needs_one_or_three_channels(run):
    onnx.save(classifier((2, 6, 6)), "net.onnx")
    save_image_folder()
    code, _, err = run(*JOB, "--data", "photos")
    assert code == 2
    assert "1 or 3 channels" in err


def test_means_must_be_one_or_one_a_channel(run):
    Path("photos").mkdir()
    Image.fromarray(np.zeros((6, 6), np.uint8)).save("photos/black.png")
    code, _, err = run(*JOB, "--data", "photos", "--mean", "0.1,0.2")
    assert code == 2
    assert "--mean holds 2 values for 1 channels" in err


FILES: dict[str, Callable[[], object]] = {
    "missing": lambda: None,
    "a folder": lambda: Path("bad.sim.safetensors").mkdir(),
    "text": lambda: Path("bad.sim.safetensors").write_text("no artifact"),
    "truncated": lambda: Path("bad.sim.safetensors").write_bytes(
        Path("net.sim.safetensors").read_bytes()[:-9]
    ),
}


@pytest.mark.parametrize("case", FILES)
@pytest.mark.parametrize("command", [("inspect",), ("compare",), ("evaluate", "--data", "evaluation.npz")])
@pytest.mark.usefixtures("compressed")
def test_a_bad_artifact_is_refused_by_every_command(run, command, case):
    FILES[case]()
    code, out, err = run(*command, "bad.sim.safetensors")
    assert code == 2
    assert out == ""
    assert "error: bad.sim.safetensors" in err


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "sim-compress report", "version": 9}'])
def test_a_bad_report_is_refused(run, text):
    Path("bad.sim.json").write_text(text)
    code, out, err = run("compare", "bad.sim.json")
    assert code == 2
    assert out == ""
    assert err.startswith("error: bad.sim.json: expected ")
