"""sim-compress export: an artifact as a plain ONNX graph."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file
from scipy import sparse

from sim_compress import load
from sim_compress.artifact import read
from sim_compress.cli.values import memory
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


def test_the_operator_set_is_the_one_asked_for(run, compressed):
    assert run("export", compressed, "-o", "sparse.onnx", "--opset", 15).code == 0
    assert [o.version for o in onnx.load("sparse.onnx").opset_import] == [15]


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


def test_tied_rows_are_written_as_plain_csr(run, compressed):
    code, out, err = run("export", compressed, "--format", "csr")
    assert code == 0
    assert "written: net.csr.safetensors" in out
    assert err == ""
    tensors = load_file("net.csr.safetensors")
    model = read(compressed).model
    assert (
        sum(v.size for k, v in tensors.items() if k.endswith(".data"))
        + sum(np.count_nonzero(v) for k, v in tensors.items() if k.startswith("bias."))
        == model.nnz
    )


def test_unrolled_matrices_give_the_artifacts_outputs(run, compressed):
    assert run("export", compressed, "-o", "m.safetensors", "--format", "csr", "--unrolled").code == 0
    tensors = load_file("m.safetensors")
    assert {k.split(".")[0] for k in tensors} == set("ABCD")


def test_a_folder_of_npz_is_written(run, compressed):
    found = json.loads(run("export", compressed, "--format", "npz", "--unrolled", "--json").out)
    assert found["written"] == "net.npz"
    assert found["bytes"] == sum(file.stat().st_size for file in Path("net.npz").iterdir())
    assert sparse.load_npz("net.npz/B.npz").nnz
    code, _, err = run("export", compressed, "--format", "npz")
    assert code == 2
    assert "net.npz: is there already" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--unrolled",), "add --format csr"),
        (("--memory", "1G"), "--memory limits --unrolled"),
        (("--format", "csr", "--opset", "17"), "--opset is for a graph, not for --format csr"),
        (("--opset", "5"), "--opset 5: expected 13 to"),
        (("--format", "csr", "--memory", "1G"), "--memory limits --unrolled"),
        (("--format", "csr", "--unrolled", "--memory", "1K"), "raise --memory"),
        (("--format", "csr", "--unrolled", "--memory", "much"), "expected bytes as 500M or 2GiB"),
        (("--format", "csr", "--unrolled", "--memory", "0"), "expected bytes above 0"),
    ],
)
def test_options_without_a_meaning_are_refused(options, message, run, compressed):
    code, _, err = run("export", compressed, *options)
    assert code == 2
    assert message in " ".join(err.split())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("500", 500), ("500M", 500e6), ("2G", 2e9), ("2GB", 2e9), ("2GiB", 2**31), ("1.5gib", 1.5 * 2**30)],
)
def test_memory_is_read_in_any_unit(text, wanted):
    assert memory(text) == wanted
