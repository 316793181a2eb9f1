"""What is wrong with a result is said in the last lines and in the JSON; no command ends well in silence."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import open_teacher
from sim_compress.report import read_report
from tests.cli.networks import images, report
from tests.compression.odd_networks import lattice

# Tiles of four entries on rows of two: nothing is left of some layers.
TILES = ("lattice.onnx", "--pattern", "block:2x2", "--tune", 0, "--target-sparsity", 50)
CONSTANT = "output 'm2' is the same for all calibration inputs, and the network's is not"


@pytest.fixture
def minima(folder) -> Path:
    onnx.save(lattice(), "lattice.onnx")
    np.savez(
        "lattice.calibration.npz", x=np.random.default_rng(1).standard_normal((120, 2)).astype(np.float32)
    )
    return folder


def predicted(samples: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Images, and the classes that the network gives them."""
    u = images(samples, seed=2)
    scores = open_teacher("net.onnx").outputs({"images": np.moveaxis(u.astype(np.float32), 0, -1)})["scores"]
    return u, scores.argmax(axis=0)


@pytest.mark.usefixtures("minima")
def test_findings_are_the_last_lines_and_stand_in_the_report(run):
    code, out, err = run(*TILES)
    found = read_report(Path("lattice.sim.json"))
    assert code == 0
    assert [f.kind for f in found.findings] == ["constant output"]
    assert out.splitlines()[-1:] == [f"warning: {f.text}" for f in found.findings]
    assert CONSTANT in out
    # Said once: not by the log as well.
    assert CONSTANT not in err
    assert "error / variance" in out


@pytest.mark.usefixtures("minima")
def test_with_json_findings_are_lines_of_stderr(run):
    code, out, err = run(*TILES, "--json")
    assert code == 0
    assert [f["kind"] for f in json.loads(out)["findings"]] == ["constant output"]
    assert err.splitlines()[-1].startswith(f"warning: {CONSTANT}")


@pytest.mark.usefixtures("minima")
def test_levels_of_a_sweep_are_named_with_what_is_wrong(run):
    code, out, _ = run(*TILES[:-2], "--sweep", "40:50:10")
    assert code == 0
    levels = json.loads(Path("lattice.sweep.json").read_text())["levels"]
    assert levels[-1]["findings"][-1]["kind"] == "constant output"
    assert levels[-1]["output_errors"] == {"m2": pytest.approx(1.0, abs=0.3)}
    assert f"warning: 50 %: {CONSTANT}" in out


def test_a_good_result_has_no_warning_and_shows_the_error_of_its_outputs(run):
    out = run("net.onnx", "--target-sparsity", 20).out
    (error,) = report().output_errors.values()
    assert report().findings == ()
    assert "warning" not in out
    assert error is not None
    assert re.search(rf"error / variance .*{re.escape(f'{error:.3g}')}", out)


def test_labels_counted_from_one_are_said_and_never_judged_by(run):
    u, classes = predicted()
    # The last class is missing, so that no label is out of range.
    fitting = classes < 2
    np.savez("shifted.npz", images=u[fitting], labels=classes[fitting] + 1)
    words = "no label fits the classes of the network, 100.00 % would if each were one less"
    code, out, _ = run("net.onnx", "--target-sparsity", 20, "--eval", "shifted.npz")
    assert code == 0
    assert words in out.splitlines()[-1]
    assert words in report().evaluation.scores[0].remarks[0]
    code, _, err = run("net.onnx", "--max-drop", 5, "--eval", "shifted.npz")
    assert code == 2
    assert f"shifted.npz: {words}" in err.splitlines()[-1]
    code, out, _ = run("evaluate", "net.sim.safetensors", "--data", "shifted.npz", "--against", "net.onnx")
    assert code == 0
    assert words in out.splitlines()[-1]
    code, out, _ = run("evaluate", "net.sim.safetensors", "--data", "shifted.npz")
    assert code == 0
    assert "the classes of the model" in out.splitlines()[-1]


def test_shuffled_labels_are_said_to_be_guesses(run):
    u, classes = predicted(400)
    np.savez("shuffled.npz", images=u, labels=np.random.default_rng(3).permutation(classes))
    out = run("net.onnx", "--target-sparsity", 20, "--eval", "shuffled.npz").out
    assert "the accuracy of the network is that of guessing" in out.splitlines()[-1]
    np.savez("fitting.npz", images=u, labels=classes)
    assert "warning" not in run("net.onnx", "--target-sparsity", 20, "--eval", "fitting.npz").out


def test_the_rows_of_an_engine_take_the_time_they_took(run):
    err = run("net.onnx", "--target-sparsity", 50, "--states", "baseline", "--engine", "threads").err
    assert [line.split(":")[0] for line in err.splitlines()].count("rows") == 1
