"""sim-compress inspect: blocks, certificate and provenance of an artifact."""

import json

from sim_compress.artifact import read
from sim_compress.report import sha256


def test_the_blocks_are_shown_with_their_numbers(run, compressed):
    code, out, err = run("inspect", compressed)
    model = read(compressed).model
    assert code == 0
    assert err == ""
    for name, affine in model.affines():
        (line,) = [line for line in out.splitlines() if f" {name} " in line and "│" in line]
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
    assert found["sha256"] == sha256(compressed)
    assert found["bytes"] == artifact.size
    assert found["nonzeros"] == sum(b["nonzeros"] for b in found["blocks"]) == artifact.model.nnz
    assert found["certificate"] == {"kind": "acyclic", "bound": 0.0, "recomputed": True}
    assert found["provenance"] == artifact.provenance
    for block in found["blocks"]:
        assert block["sparsity"] == 1 - block["nonzeros"] / block["parameters"]
