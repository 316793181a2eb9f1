"""The dry run: the plan, and nothing written."""

import json

from sim_compress import open_teacher
from tests.cli.networks import names

BESIDE = ["evaluation.npz", "net.calibration.npz", "net.onnx"]


def test_the_dry_run_shows_the_plan_and_writes_nothing(run, folder):
    code, out, err = run("net.onnx", "--target-sparsity", 40, "--dry-run", "--eval", "evaluation.npz")
    assert code == 0
    assert err == ""
    assert names(folder) == BESIDE
    teacher = open_teacher("net.onnx").model
    kept = round(0.6 * teacher.nnz)
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
    assert [b["phi"] for b in plan["blocks"]] == ["relu", "output"]
