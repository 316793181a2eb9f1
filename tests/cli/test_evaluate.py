"""sim-compress evaluate: an artifact on labels and against its network."""

import json
from pathlib import Path

import numpy as np
import onnx

from sim_compress import load
from tests.cli.networks import classifier, images, labels, two_ends


def test_labels_in_the_data_give_the_accuracy(run, compressed):
    code, out, _ = run("evaluate", compressed, "--data", "evaluation.npz")
    accuracy = np.mean(load(compressed).predict(images(20, seed=1))["scores"].argmax(axis=1) == labels(20))
    assert code == 0
    assert f"{100 * accuracy:.2f} %" in out
    assert "evaluation.npz, 20 samples" in out
    assert "before" not in out


def test_labels_may_come_from_a_file_of_their_own(run, compressed):
    np.save("inputs.npy", images(20, seed=1))
    np.savez("labels.npz", labels=labels(20), other=labels(20))
    code, out, _ = run("evaluate", compressed, "--data", "inputs.npy", "--labels", "labels.npz", "--json")
    assert code == 0
    assert json.loads(out)["labelled"] is True


def test_against_the_network_gives_agreement_and_error(run, compressed):
    options = ("--data", "net.calibration.npz", "--against", "net.onnx", "--json")
    code, out, err = run("evaluate", compressed, *options)
    assert code == 0
    assert "warning" not in err
    document = json.loads(out)
    report = json.loads(Path("net.sim.json").read_text())
    assert {**document, "file": None} == {**report["evaluation"], "file": None}


def test_another_network_of_the_same_inputs_and_outputs_is_warned_of(run, compressed):
    other = classifier()
    other.doc_string = "another file"
    onnx.save(other, "other.onnx")
    options = ("--data", "evaluation.npz", "--against", "other.onnx")
    code, out, err = run("evaluate", compressed, *options)
    assert code == 0
    assert "warning: other.onnx is not the file the artifact was made from" in err
    assert "before" in out


def test_a_network_of_other_inputs_is_refused(run, compressed):
    onnx.save(two_ends(), "two.onnx")
    code, _, err = run("evaluate", compressed, "--data", "evaluation.npz", "--against", "two.onnx")
    assert code == 2
    assert "two.onnx: has the inputs" in err


def test_without_labels_and_network_there_is_nothing_to_compare_with(run, compressed):
    code, _, err = run("evaluate", compressed, "--data", "net.calibration.npz")
    assert code == 2
    assert "--labels" in err
    assert "--against" in err
