"""sim-compress export: an artifact as a plain ONNX graph."""

import json
from pathlib import Path

import numpy as np

from sim_compress import load
from tests.cli.networks import images
from tests.frontend.graphs import assert_close
from tests.frontend.graphs import run as run_onnx


def test_the_graph_gives_the_outputs_of_the_artifact(run, compressed):
    code, out, err = run("export", compressed, "-o", "sparse.onnx")
    assert code == 0
    assert "written: sparse.onnx" in out
    assert "dense" in err
    inputs = images(5).astype(np.float32)
    assert_close(run_onnx(Path("sparse.onnx"), {"images": inputs})["scores"], load(compressed)(inputs))


def test_the_graph_can_be_compressed_again(run, compressed):
    assert run("export", compressed).code == 0
    assert run("net.sim.onnx", "--target-sparsity", 20, "--data", "net.calibration.npz").code == 0


def test_json_says_what_was_written(run, compressed):
    found = json.loads(run("export", compressed, "--json").out)
    assert found["written"] == "net.sim.onnx"
    assert found["bytes"] == Path("net.sim.onnx").stat().st_size


def test_the_artifact_is_not_overwritten(run, compressed):
    before = compressed.read_bytes()
    code, _, err = run("export", compressed, "-o", compressed)
    assert code == 2
    assert "would overwrite" in err
    assert compressed.read_bytes() == before


def test_what_is_no_artifact_is_refused(run):
    code, _, err = run("export", "net.onnx", "-o", "sparse.onnx")
    assert code == 2
    assert "net.onnx" in err
    assert not Path("sparse.onnx").exists()
