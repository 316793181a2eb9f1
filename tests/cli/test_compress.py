"""The main job: what is written, what is shown, what every option does."""

import hashlib
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import load, open_teacher
from sim_compress.artifact import read
from sim_compress.report import read_report
from tests.cli.networks import images, labels, names, report, two_ends
from tests.frontend.graphs import graph_of, node, random

STAGES = ["start", "load", "states", "allocation", "rows", "evaluate", "save"]
BESIDE = ["evaluation.npz", "net.calibration.npz", "net.onnx"]
WRITTEN = ["net.sim.json", "net.sim.safetensors"]


def test_the_default_job_writes_artifact_and_report_into_the_current_folder(run, folder):
    code, out, err = run("net.onnx", "--target-sparsity", 40)
    assert code == 0
    assert names(folder) == sorted(BESIDE + WRITTEN)
    assert "written: net.sim.safetensors and net.sim.json" in out
    assert "error" not in err
    assert load("net.sim.safetensors").predict(images(2))["scores"].shape == (2, 3)


def test_the_model_may_lie_in_another_folder_than_the_current_one(run, folder, monkeypatch):
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert run("../net.onnx", "--target-sparsity", 40).code == 0
    assert names(folder / "elsewhere") == WRITTEN
    assert report().calibration.source == "net.calibration.npz"


def test_the_report_holds_the_numbers_of_the_run(run):
    run("net.onnx", "--target-sparsity", "40%", "--eval", "evaluation.npz", "--kappa", 0.9)
    found, teacher, artifact = report(), open_teacher("net.onnx"), read("net.sim.safetensors")
    assert found.network.parameters == teacher.model.nnz
    assert found.network.sha256 == hashlib.sha256(Path("net.onnx").read_bytes()).hexdigest()
    assert found.network.bytes == Path("net.onnx").stat().st_size
    assert found.artifact.digest == read("net.sim.safetensors").digest
    assert found.artifact.bytes == artifact.size
    assert found.artifact.nonzeros == artifact.model.nnz == sum(b.nonzeros for b in found.blocks)
    assert found.sparsity == 1 - artifact.model.nnz / teacher.model.nnz
    assert found.target_sparsity == 0.4
    assert found.settings == {
        "target_sparsity": 0.4,
        "objective": "perspective",
        "kappa": 0.9,
        "support": "network",
        "states": "regenerated",
        "allocation": "output",
        "nearest_rounds": None,
        "augment": "mirror",
        "tune": None,
        "solver": "native",
        "matching": "relaxed",
        "ignore": (),
        "only": (),
        "targets": {},
        "pattern": "unstructured",
        "values": "float32",
        "robust": None,
        "paper": None,
        "seed": 0,
    }
    assert found.certificate.kind == artifact.certificate.kind
    assert list(found.seconds) == STAGES
    assert sum(found.seconds.values()) <= found.total_seconds
    assert found.peak_memory is None or found.peak_memory > 10**7


def test_the_scores_are_those_of_the_written_artifact(run):
    run("net.onnx", "--target-sparsity", 60, "--eval", "evaluation.npz")
    (score,) = report().evaluation.scores
    outputs = load("net.sim.safetensors").predict(images(20, seed=1))["scores"]
    assert score.accuracy_after == np.mean(np.argmax(outputs, axis=1) == labels(20))
    assert report().evaluation.labelled
    assert not report().evaluation.on_calibration
    assert report().evaluation.data.source == "evaluation.npz"


def test_hashes_of_the_calibration_data_agree_in_report_and_artifact(run):
    run("net.onnx", "--target-sparsity", 40)
    calibration = read("net.sim.safetensors").provenance["calibration"]
    assert calibration == {
        "sha256": report().calibration.sha256,
        "samples": 40,
        "mirrored": False,
        "source": "net.calibration.npz",
        "data_free": False,
    }


def test_the_table_shows_what_the_report_holds(run):
    out = run("net.onnx", "--target-sparsity", 40, "--eval", "evaluation.npz").out
    found = report()
    for text in (
        f"{found.network.parameters:,}",
        f"{found.artifact.nonzeros:,}",
        f"{100 * found.sparsity:.2f} %",
        f"{found.artifact.bytes:,} bytes",
        "against its gzip",
        "accuracy",
        "top-1 agreement",
        "relative output error",
        "evaluation.npz, 20 samples",
        "acyclic",
        f"{sum(b.rows for b in found.blocks)} optimal, duality gap at most",
        "wall time",
        "peak memory",
    ):
        assert text in out


def test_without_a_terminal_lines_are_plain_and_at_most_80_columns_wide(run):
    code, out, err = run("net.onnx", "--target-sparsity", 40)
    assert code == 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", out + err)
    assert max(map(len, out.splitlines())) <= 80
    (unvaried,) = (line for line in err.splitlines() if line.startswith("note: "))
    assert unvaried.startswith("note: constant over the calibration inputs")
    assert [line.split(":")[0] for line in err.splitlines() if line != unvaried] == STAGES[1:]


def test_without_evaluation_data_the_table_says_that_it_measured_on_the_calibration_data(run):
    out = run("net.onnx", "--target-sparsity", 40).out
    assert "without labels" in out
    assert "calibration data: a fair score" in out
    assert report().evaluation.on_calibration
    assert report().evaluation.scores[0].accuracy_after is None


def test_json_is_the_report_and_nothing_else_on_stdout(run):
    code, out, _ = run("net.onnx", "--target-sparsity", 40, "--json")
    assert code == 0
    assert json.loads(out) == json.loads(Path("net.sim.json").read_text())


def test_output_names_the_artifact_and_with_it_the_report(run, folder):
    (folder / "out").mkdir()
    assert run("net.onnx", "--target-sparsity", 40, "-o", "out/small.sim.safetensors").code == 0
    assert names(folder / "out") == ["small.sim.json", "small.sim.safetensors"]


def test_an_older_artifact_is_replaced(run):
    for target in (40, 60):
        assert run("net.onnx", "--target-sparsity", target).code == 0
        assert read("net.sim.safetensors").model.nnz == report().artifact.nonzeros
    assert report().target_sparsity == 0.6


def test_labels_of_their_own_file_score_the_calibration_data(run):
    np.save("labels.npy", labels())
    assert run("net.onnx", "--target-sparsity", 40, "--labels", "labels.npy").code == 0
    assert report().evaluation.labelled
    assert report().evaluation.scores[0].accuracy_before is not None


def test_evaluation_data_without_labels_give_the_agreement(run):
    np.savez("plain.npz", images=images(10, seed=5))
    assert run("net.onnx", "--target-sparsity", 40, "--eval", "plain.npz").code == 0
    (score,) = report().evaluation.scores
    assert score.agreement is not None
    assert score.accuracy_after is None


@pytest.mark.parametrize("objective", ["perspective", "l1"])
def test_the_objective_reaches_the_artifact(run, objective):
    assert run("net.onnx", "--target-sparsity", 40, "--objective", objective).code == 0
    settings = read("net.sim.safetensors").provenance["settings"]
    assert isinstance(settings, dict)
    assert settings["objective"] == objective


def test_two_inputs_and_two_outputs_are_each_reported(run):
    onnx.save(two_ends(), "two.onnx")
    rng = np.random.default_rng(0)
    left, right = (rng.standard_normal((40, 6)).astype(np.float32) for _ in range(2))
    np.savez("two.calibration.npz", left=left, right=right)
    code, out, _ = run("two.onnx", "--target-sparsity", 40)
    assert code == 0
    assert "top-1 agreement (scores)" in out
    assert "relative output error (total)" in out
    assert "top-1 agreement (total)" not in out


def test_an_artifact_is_compressed_further(run, compressed):
    code, out, _ = run(compressed, "--target-sparsity", 20, "-o", "smaller.sim.safetensors")
    assert code == 0
    assert "net.calibration.npz" in out
    first, second = read(compressed).model, read("smaller.sim.safetensors").model
    # One parameter more or less of some hundred.
    assert second.nnz == pytest.approx(0.8 * first.nnz, abs=1)


def test_an_artifact_does_not_overwrite_itself(run, compressed):
    before = compressed.read_bytes()
    code, _, err = run(compressed, "--target-sparsity", 20)
    assert code == 2
    assert "would overwrite net.sim.safetensors" in err
    assert compressed.read_bytes() == before


def test_blocks_can_be_left_alone_and_have_their_own_targets(run):
    arguments = ("--target-sparsity", 60, "--target-sparsity", "act.*=30", "--ignore", "scores")
    code, out, _ = run("net.onnx", *arguments)
    assert code == 0
    assert "sparsity, all parameters" in out
    found = report()
    assert found.settings["ignore"] == ("scores",)
    assert found.settings["targets"] == {"act.*": 0.3}
    conv, scores = (b for b in found.blocks if b.parameters)
    assert scores.nonzeros == scores.parameters
    assert conv.nonzeros == round(0.7 * conv.parameters)
    assert found.sparsity == conv.sparsity


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "how far to compress is not said"),
        (("--max-drop", 1, "--pattern", "2:4"), "fixes it at 50 %"),
        (("--target-sparsity", 60, "--pattern", "2:4"), "removes 50 % of every row"),
        (("--target-sparsity", 60, "--pattern", "4"), "unknown pattern '4'"),
        (("--target-sparsity", "act.*=30"), "how far to compress is not said"),
        (("--target-sparsity", 30, "--target-sparsity", 40), "expected one PART for all blocks"),
        (("--target-sparsity", 30, "--ignore", "conv9"), "'conv9' matches the whole name of no block"),
    ],
)
def test_targets_and_patterns_that_say_nothing_are_refused(run, arguments, message):
    code, _, err = run("net.onnx", *arguments)
    assert code == 2
    assert message in " ".join(err.split())


def test_a_pattern_that_fixes_the_sparsity_needs_no_target(run):
    code, out, _ = run("net.onnx", "--pattern", "2:4")
    assert code == 0
    assert report().target_sparsity == 0.5
    assert report().settings["pattern"] == "2:4"
    assert "asked 50.00 %, 2:4" in out


def layers(*widths: int) -> onnx.ModelProto:
    """Gemm and Relu in turn, as small as a file of them can be."""
    nodes, constants, before = [], {}, "u"
    for i, (columns, rows) in enumerate(pairwise(widths)):
        constants |= {f"w{i}": random(rows, columns, seed=i), f"b{i}": random(rows, seed=9 + i)}
        nodes.append(node("Gemm", [before, f"w{i}", f"b{i}"], [f"z{i}"], transB=1))
        nodes.append(node("Relu", [f"z{i}"], [before := f"x{i}"]))
    return graph_of(nodes, {"u": (widths[0],)}, constants)


@pytest.mark.parametrize("widths", [(10, 20, 20, 3), (8, 32, 32, 2), (8, 16, 16, 16, 2)])
def test_the_artifact_of_a_small_network_is_smaller_than_its_file(widths, run):
    onnx.save(layers(*widths), "small.onnx")
    np.savez("small.npz", u=np.random.default_rng(0).standard_normal((64, widths[0])).astype(np.float32))
    assert run("small.onnx", "--target-sparsity", 40, "--data", "small.npz").code == 0
    assert Path("small.sim.safetensors").stat().st_size < Path("small.onnx").stat().st_size
    assert not any("more than the" in text for text in read_report(Path("small.sim.json")).notices)


def test_an_artifact_that_is_larger_than_the_network_says_so(run):
    onnx.save(layers(2, 2), "tiny.onnx")
    np.savez("tiny.npz", u=np.random.default_rng(0).standard_normal((64, 2)).astype(np.float32))
    code, _, err = run("tiny.onnx", "--target-sparsity", 40, "--data", "tiny.npz")
    network, artifact = Path("tiny.onnx").stat().st_size, Path("tiny.sim.safetensors").stat().st_size
    said = f"the artifact takes {artifact} bytes, more than the {network} of the network"
    assert code == 0
    assert artifact > network
    assert f"warning: {said}" in err
    assert any(text.startswith(said) for text in read_report(Path("tiny.sim.json")).notices)


def test_the_papers_own_problem_has_no_target(run):
    code, out, _ = run("net.onnx", "--method", "paper", "--objective", "l1", "--beta", 5, "--lambda1", 0.2)
    assert code == 0
    assert "as it came out" in out
    settings = json.loads(Path("net.sim.json").read_text())["settings"]
    assert settings["paper"] == {"lambda1": 0.2, "lambda2": 0.1, "weight": 5.0}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "paper", "--target-sparsity", 40), "decides it"),
        (("--method", "paper", "--sweep", "20:40:10"), "--sweep"),
        (("--method", "paper", "--beta", 1), "--beta does not weight"),
        (("--method", "paper", "--lambda1", -1), "lambda1"),
        (("--method", "paper", "--tune", 2), "leave tuning out"),
        (("--target-sparsity", 40, "--alpha", 1), "--method paper"),
    ],
)
def test_what_the_papers_problem_does_not_take_is_refused(run, options, words):
    code, _, err = run("net.onnx", *options)
    assert code == 2
    assert words in err
