"""The largest sparsity within a bound on the drop: found by measuring, written as any other artifact."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from sim_compress.cli import max_drop
from sim_compress.report import Evaluation
from tests.cli.networks import images, names, report

BESIDE = ["evaluation.npz", "net.calibration.npz", "net.onnx"]
WRITTEN = ["net.sim.json", "net.sim.safetensors"]


def tried(text: str) -> dict[int, float]:
    """Percent of sparsity -> drop, from the notice of the report."""
    return {int(level): float(drop) for level, drop in re.findall(r"(\d+) %, drop (-?[\d.]+)", text)}


def test_what_is_found_stays_within_the_bound_and_one_percent_more_does_not(run, folder):
    code, out, _ = run("net.onnx", "--max-drop", "10")
    assert code == 0
    assert names(folder) == sorted(BESIDE + WRITTEN)
    found = report()
    drops = tried(found.notices[-1])
    level = round(100 * found.target_sparsity)
    (score,) = found.evaluation.scores
    assert score.agreement is not None
    assert drops[level] == pytest.approx(100 * (1 - score.agreement), abs=0.01)
    assert drops[level] <= 10
    assert drops[level + 1] > 10
    for number in drops:
        assert f"{number} %" in out


def test_the_artifact_is_that_of_a_run_at_this_sparsity(run):
    run("net.onnx", "--max-drop", "10")
    percent = f"{100 * report().target_sparsity:g}"
    run("net.onnx", "--target-sparsity", percent, "-o", "alone.sim.safetensors")
    assert Path("net.sim.safetensors").read_bytes() == Path("alone.sim.safetensors").read_bytes()


def test_with_labels_the_drop_is_accuracy(run):
    assert run("net.onnx", "--max-drop", "20", "--eval", "evaluation.npz").code == 0
    found = report()
    (score,) = found.evaluation.scores
    assert score.accuracy_before is not None
    assert score.accuracy_after is not None
    lost = 100 * (score.accuracy_before - score.accuracy_after)
    assert tried(found.notices[-1])[round(100 * found.target_sparsity)] == pytest.approx(lost, abs=0.01)
    assert lost <= 20
    assert "accuracy points lost" in found.notices[-2]
    assert "evaluation.npz: a fair score needs others" in found.notices[-2]


def test_without_evaluation_data_it_says_that_the_calibration_inputs_were_used(run):
    err = run("net.onnx", "--max-drop", "10").err
    (line,) = (line for line in err.splitlines() if line.startswith("note: the sparsity is"))
    assert "measured on the calibration inputs" in line
    assert line.removeprefix("note: ") == report().notices[-2]


def test_a_bound_that_everything_meets_ends_at_the_highest_sparsity_there_is(run):
    assert run("net.onnx", "--max-drop", "99.9").code == 0
    highest = round(100 * report().target_sparsity)
    code, _, err = run("net.onnx", "--target-sparsity", highest + 1, "-o", "more.sim.safetensors")
    assert code == 2
    assert "ask for less than" in err


def test_a_bound_that_nothing_meets_is_one_error_and_nothing_is_written(run, folder, monkeypatch):
    def much(_evaluation: Evaluation) -> float:
        return 0.02

    monkeypatch.setattr(max_drop, "_drop", much)
    code, out, err = run("net.onnx", "--max-drop", "0.5")
    assert code == 2
    assert out == ""
    assert err.count("error: ") == 1
    assert "a sparsity of 1 % alone drops 2 points, the bound is 0.5" in err
    assert names(folder) == BESIDE


def test_the_same_search_gives_the_same_bytes(run):
    def found() -> bytes:
        run("net.onnx", "--max-drop", "10")
        return Path("net.sim.safetensors").read_bytes()

    assert found() == found()


def test_json_is_the_report(run):
    code, out, err = run("net.onnx", "--max-drop", "10", "--json")
    assert code == 0, err
    assert json.loads(out) == json.loads(Path("net.sim.json").read_text())


def test_an_interrupted_search_leaves_nothing(run, folder, monkeypatch):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim_compress.cli.outcome.measure", interrupt)
    assert run("net.onnx", "--max-drop", "10").code == 130
    assert names(folder) == BESIDE


def test_labels_of_the_calibration_inputs_serve_too(run):
    np.save("labels.npy", np.random.default_rng(0).integers(0, 3, len(images())))
    assert run("net.onnx", "--max-drop", "20", "--labels", "labels.npy").code == 0
    assert "accuracy points lost" in report().notices[-2]
    assert "measured on the calibration inputs" in report().notices[-2]
