"""The dry run: the plan, and nothing written."""

import json

import numpy as np
import onnx
import pytest

from sim_compress import open_teacher
from sim_compress.compression import prepared
from sim_compress.states.designs import empty_grams
from tests.cli.networks import SAMPLES, classifier, names, two_ends

BESIDE = ["evaluation.npz", "net.calibration.npz", "net.onnx"]


def test_the_dry_run_shows_the_plan_and_writes_nothing(run, folder):
    code, out, err = run("net.onnx", "--target-sparsity", 40, "--dry-run", "--eval", "evaluation.npz")
    assert code == 0
    assert err == ""
    assert names(folder) == BESIDE
    teacher = open_teacher("net.onnx").model
    kept = round(0.6 * teacher.nnz)
    assert "would keep" in out
    for text in (
        "relu",
        "7 row problems",
        f"{teacher.nnz:,} parameters",
        f"{kept:,} parameters",
        "with labels",
    ):
        assert text in out
    assert "net.calibration.npz, 40 samples" in out


def test_the_dry_run_gives_json(run, folder):
    code, out, _ = run("net.onnx", "--target-sparsity", 40, "--dry-run", "--json")
    assert code == 0
    assert names(folder) == BESIDE
    plan = json.loads(out)
    assert plan["rows"] == 7
    assert plan["calibration"]["samples"] == 40
    assert [level["target_sparsity"] for level in plan["levels"]] == [0.4]
    assert plan["files"] == ["net.sim.safetensors", "net.sim.json"]
    assert [b["phi"] for b in plan["blocks"]] == ["relu", "output"]


def test_without_any_sparsity_it_shows_what_was_found_and_names_no_part_to_keep(run, folder):
    code, out, err = run("net.onnx", "--dry-run")
    assert code == 0
    assert err == ""
    assert names(folder) == BESIDE
    assert "7 row problems" in out
    assert "would keep" not in out
    assert json.loads(run("net.onnx", "--dry-run", "--json").out)["levels"] == []


def test_of_a_sweep_it_lists_the_levels_and_the_files(run, folder):
    code, out, _ = run("net.onnx", "--sweep", "20:60:20", "--dry-run", "--keep", "--json")
    assert code == 0
    assert names(folder) == BESIDE
    plan, nonzeros = json.loads(out), open_teacher("net.onnx").model.nnz
    assert [(level["target_sparsity"], level["nonzeros"]) for level in plan["levels"]] == [
        (part, round((1 - part) * nonzeros)) for part in (0.2, 0.4, 0.6)
    ]
    kept = [f"net.{level}.sim{suffix}" for suffix in (".safetensors", ".json") for level in (20, 40, 60)]
    assert plan["files"] == ["net.sweep.json", "net.sweep.html", "net.sweep.png", *kept]
    assert "(sparsity 20.00 %)" in run("net.onnx", "--sweep", "20:60:20", "--dry-run").out


def test_of_a_search_it_says_what_is_searched(run):
    out = run("net.onnx", "--max-drop", "0.5", "--dry-run", "--eval", "evaluation.npz").out
    assert "at most 0.5 accuracy points" in " ".join(out.split())
    assert json.loads(run("net.onnx", "--max-drop", "0.5", "--dry-run", "--json").out)["max_drop"] == 0.005


def test_the_memory_of_the_grams_is_that_of_their_arrays(run):
    found = json.loads(run("net.onnx", "--dry-run", "--json").out)["grams"]
    grams = [g for _, affine in open_teacher("net.onnx").model.affines() for g in empty_grams(affine)]
    arrays = [array for gram in grams for array in vars(gram).values() if isinstance(array, np.ndarray)]
    assert found["row_groups"] == len(grams)
    assert found["bytes"] == sum(array.nbytes for array in arrays)
    # 36 positions with 9 features and 4 rows; 1 with 144 and 3.
    assert found["operations"] == SAMPLES * (36 * 9 * (9 + 4) + 144 * (144 + 3))
    assert found["passes"] == 2
    baseline = run("net.onnx", "--dry-run", "--json", "--states", "baseline").out
    assert json.loads(baseline)["grams"]["passes"] == 1


def test_full_support_has_larger_grams(run):
    def grams(*options: str) -> int:
        return json.loads(run("two.onnx", "--dry-run", "--json", *options).out)["grams"]["bytes"]

    onnx.save(two_ends(), "two.onnx")
    rng = np.random.default_rng(0)
    np.savez("two.calibration.npz", left=rng.random((40, 6)), right=rng.random((40, 6)))
    assert grams("--support", "full") > grams()


def test_the_network_does_not_see_mirror_images_for_a_plan(run, monkeypatch):
    """On large images that takes longer than all else of a plan; their cost counts all the same."""

    def seen(*_):
        raise AssertionError("the network saw mirror images")

    monkeypatch.setitem(prepared.__globals__, "mirrored", seen)
    onnx.save(classifier((1, 10, 10)), "image.onnx")
    np.savez("image.calibration.npz", images=np.random.default_rng(0).random((6, 1, 10, 10), np.float32))

    def operations(*options: str) -> int:
        return json.loads(run("image.onnx", "--dry-run", "--json", *options).out)["grams"]["operations"]

    assert operations() == 2 * operations("--augment", "none")


def test_the_plan_of_memory_names_every_part(run):
    found = json.loads(run("net.onnx", "--target-sparsity", 40, "--dry-run", "--json", "--memory", "2G").out)
    memory = found["memory"]
    assert (memory["limit"], memory["asked"]) == (2 * 10**9, True)
    assert [part["name"] for part in memory["parts"]] == [
        "Grams",
        "row problems",
        "paths",
        "output curves",
        "convex rows",
        "rows",
        "tuning",
        "appraisal",
    ]
    assert memory["peak"] == memory["held"] + max(part["bytes"] for part in memory["parts"])
    out = " ".join(run("net.onnx", "--target-sparsity", 40, "--dry-run", "--memory", "2G").out.split())
    assert "of 2,000 MB that --memory allows" in out
    assert "row problems" in out


def test_a_step_that_is_not_run_takes_no_memory(run):
    out = run(
        "net.onnx", "--dry-run", "--json", "--tune", 0, "--states", "baseline", "--allocation", "alpha"
    ).out
    names = [part["name"] for part in json.loads(out)["memory"]["parts"]]
    assert names == ["Grams", "row problems", "paths", "convex rows", "rows", "appraisal"]


@pytest.mark.parametrize("command", [(), ("--dry-run",), ("--sweep", "20,40"), ("--max-drop", 1)])
def test_a_run_that_does_not_fit_is_refused_in_one_line_and_leaves_nothing(run, folder, command):
    far = () if command and command[0] != "--dry-run" else ("--target-sparsity", 40)
    code, out, err = run("net.onnx", *far, *command, "--memory", "10M")
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "0.01 GB are allowed (--memory): allow more" in lines[0]
    assert names(folder) == BESIDE


@pytest.mark.parametrize("text", ["6 apples", "0", "-1G", "nan", "1X"])
def test_memory_that_is_no_number_of_bytes_is_refused(run, text):
    code, _, err = run("net.onnx", "--dry-run", f"--memory={text}")
    assert code == 2
    assert "expected bytes" in err


@pytest.mark.parametrize(
    ("text", "size"), [("6G", 6e9), ("9000M", 9e9), ("8.5G", 8.5e9), ("8GiB", 2**33), ("9000000000", 9e9)]
)
def test_memory_is_given_in_the_units_that_people_write(run, text, size):
    assert json.loads(run("net.onnx", "--dry-run", "--json", "--memory", text).out)["memory"]["limit"] == size
