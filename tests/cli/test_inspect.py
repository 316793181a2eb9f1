"""sim-compress inspect: blocks, certificate and provenance of an artifact."""

import json
import math
from pathlib import Path

from safetensors import safe_open

from sim_compress.artifact import read
from sim_compress.certificate import output_bound
from sim_compress.report import read_report, report_path


def test_the_blocks_are_shown_with_their_numbers(run, compressed):
    code, out, err = run("inspect", compressed)
    model = read(compressed).model
    assert code == 0
    assert err == ""
    for name, affine in model.affines():
        (line,) = [line for line in out.splitlines() if line.startswith(f"│ {name} ")]
        assert f" {affine.nnz} " in line
        assert f" {affine.rows} " in line
    assert f"{compressed.stat().st_size:,} bytes" in out


def test_certificate_and_provenance_are_shown(run, compressed):
    out = run("inspect", compressed).out
    teacher = read(compressed).provenance["teacher"]
    assert isinstance(teacher, dict)
    assert "acyclic" in out
    assert "recomputed" in out
    assert "net.calibration.npz" in out
    # A hash is longer than what is left of 80 columns.
    assert str(teacher["sha256"])[:50] in out


def test_json_holds_the_same_numbers(run, compressed):
    code, out, _ = run("inspect", compressed, "--json")
    artifact = read(compressed)
    found = json.loads(out)
    assert code == 0
    assert found["digest"] == artifact.digest == read_report(report_path(compressed)).artifact.digest
    assert found["bytes"] == artifact.size
    assert found["nonzeros"] == sum(b["nonzeros"] for b in found["blocks"]) == artifact.model.nnz
    lipschitz = output_bound(artifact.model)
    certificate = {"kind": "acyclic", "bound": 0.0, "recomputed": True, "lipschitz": lipschitz}
    assert found["certificate"] == certificate
    assert 0 < lipschitz < math.inf
    assert found["provenance"] == artifact.provenance
    for block in found["blocks"]:
        assert block["sparsity"] == 1 - block["nonzeros"] / block["parameters"]


def test_every_matrix_is_listed_with_its_shape_nonzeros_and_bytes(run, compressed):
    found = json.loads(run("inspect", compressed, "--json").out)
    model = read(compressed).model
    weights = {id(w): w for _, affine in model.affines() for w in affine.weights}
    rows = [item for item in found["tensors"] if item["name"][0] in "ABCD"]
    assert [(tuple(r["shape"]), r["nonzeros"]) for r in rows] == [(w.shape, w.nnz) for w in weights.values()]
    header = int.from_bytes(compressed.read_bytes()[:8], "little")
    assert sum(item["bytes"] for item in found["tensors"]) + header + 8 == found["bytes"]
    names = {name for item in found["tensors"] for name in item["tensors"]}
    with safe_open(compressed, "numpy") as file:
        assert names == set(file.keys())
        assert found["digest"] == json.loads(file.metadata()["sim_compress"])["digest"]


def test_the_matrices_are_shown(run, compressed):
    out = run("inspect", compressed).out
    for item in json.loads(run("inspect", compressed, "--json").out)["tensors"]:
        (line,) = [line for line in out.splitlines() if line.startswith(f"│ {item['name']} ")]
        assert f" {item['bytes']:,} " in line


def test_a_file_of_version_3_is_shown_too(run):
    path = Path(__file__).parents[1] / "artifact/format3/feedforward.safetensors"
    code, out, _ = run("inspect", path)
    assert code == 0
    assert [line for line in out.splitlines() if "│ B.0.0 " in line and " 43 " in line]
    assert [line for line in out.splitlines() if "│ model " in line and "U8" in line]


def test_steps_are_shown_with_their_share_of_the_time(run, compressed):
    code, out, err = run("inspect", compressed, "--per-step")
    assert code == 0, err
    assert "steps of the first chunk at batch 1" in out
    assert "share" in out
    document = json.loads(run("inspect", compressed, "--per-step", "--json").out)
    assert {step["name"] for step in document["steps"]} >= {"inputs", "outputs"}
