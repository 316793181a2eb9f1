"""sim-compress evaluate: an artifact on labels and against its network."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import load, open_teacher
from sim_compress.robustness import evaluate, fgsm, pgd
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


def test_attacks_are_on_the_artifact_and_on_its_network(run, compressed):
    options = ("--data", "evaluation.npz", "--against", "net.onnx", "--attack", "fgsm,pgd")
    code, out, _ = run("evaluate", compressed, *options, "--epsilon", "0.01,0.3", "--steps", "5", "--json")
    assert code == 0
    found = json.loads(out)["robustness"]
    assert found["samples"] == 20
    attacks = [(a["attack"]["name"], a["attack"]["epsilon"]) for a in found["attacks"]]
    assert attacks == [("fgsm", 0.01), ("fgsm", 0.3), ("pgd", 0.01), ("pgd", 0.3)]
    expected = evaluate(
        load(compressed),
        images(20, seed=1),
        labels(20),
        [fgsm(0.01), fgsm(0.3), pgd(0.01, 5), pgd(0.3, 5)],
        against=open_teacher("net.onnx").model,
    )
    assert [a["own"] for a in found["attacks"]] == [a.own for a in expected.attacks]
    assert [a["network_own"] for a in found["attacks"]] == [a.network_own for a in expected.attacks]


def test_the_table_of_attacks_has_a_line_for_each(run, compressed):
    options = ("--data", "evaluation.npz", "--attack", "fgsm", "--epsilon", "0.01,0.1", "--pixels", "50%")
    code, out, _ = run("evaluate", compressed, *options, "--clip=-1000,1000")
    assert code == 0
    assert "fgsm, epsilon 0.01, 50 % of the entries" in out
    assert "fgsm, epsilon 0.1, 50 % of the entries" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--attack", "fgsm"), "--epsilon"),
        (("--epsilon", "0.1"), "--attack"),
        (("--steps", "3"), "--attack"),
        (("--certify",), "--certify needs --epsilon"),
        (("--certify", "--epsilon", "0.1", "--pixels", "0.5"), "--pixels is of attacks"),
        (("--attack", "fgsm", "--epsilon", "0.1", "--steps", "3"), "--steps is of pgd"),
        (("--attack", "cw", "--epsilon", "0.1"), "no attack 'cw'"),
        (("--attack", "pgd,pgd", "--epsilon", "0.1"), "twice"),
        (("--attack", "pgd", "--epsilon", "0"), "--epsilon 0"),
        (("--attack", "pgd", "--epsilon", "much"), "--epsilon much"),
        (("--attack", "pgd", "--epsilon", "1", "--pixels", "0"), "--pixels 0"),
        (("--attack", "pgd", "--epsilon", "1", "--clip", "1,0"), "--clip 1,0"),
        (("--attack", "pgd", "--epsilon", "1", "--clip", "5,6"), "outside the range"),
    ],
)
def test_attacks_that_cannot_be_made_are_refused(run, compressed, options, words):
    code, out, err = run("evaluate", compressed, "--data", "evaluation.npz", *options)
    assert code == 2
    assert out == ""
    assert words in err


def test_certified_accuracies_stand_below_those_under_attack(run, compressed):
    options = ("--data", "evaluation.npz", "--against", "net.onnx", "--attack", "pgd", "--certify")
    code, out, _ = run("evaluate", compressed, *options, "--epsilon", "0.001,0.01", "--json")
    assert code == 0
    document = json.loads(out)
    for proven, attacked in zip(document["certified"], document["robustness"]["attacks"], strict=True):
        assert proven["epsilon"] == attacked["attack"]["epsilon"]
        assert proven["accuracy"] <= attacked["own"]
        assert proven["network_accuracy"] <= attacked["network_own"]
    assert document["certified"][0]["accuracy"] > 0


def test_certified_accuracy_alone_has_a_line_in_the_table(run, compressed):
    options = ("--data", "evaluation.npz", "--certify", "--epsilon", "0.001")
    code, out, _ = run("evaluate", compressed, *options)
    assert code == 0
    assert "certified (linear bounds), epsilon 0.001" in out


def test_a_robust_artifact_says_how_it_was_tuned(run):
    code, out, _ = run("net.onnx", "--target-sparsity", 50, "--robust", 2, "--tune", 3)
    assert code == 0
    assert "loss on inputs and moved inputs" in out
    assert json.loads(Path("net.sim.json").read_text())["settings"]["robust"] == 2


@pytest.mark.parametrize("epsilon", ["0", "much", "-1"])
def test_an_epsilon_that_is_none_is_refused(run, epsilon):
    code, _, err = run("net.onnx", "--target-sparsity", 50, f"--robust={epsilon}")
    assert code == 2
    assert "--robust" in err
