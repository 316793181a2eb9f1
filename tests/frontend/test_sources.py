"""A network in memory: bytes, open files and models give what their path gives, and are left as they were."""

import io
from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress, open_teacher
from sim_compress.errors import InputError, ModelFileError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import graph_of, node, random, saved

MODELS = Path(__file__).parents[2] / "models"


@pytest.fixture
def network(tmp_path) -> Path:
    nodes = [node("MatMul", ["x", "w"], ["h"], "product"), node("Relu", ["h"], ["y"], "relu")]
    return saved(tmp_path, graph_of(nodes, {"x": (8,)}, {"w": random(8, 4)}))


def test_bytes_open_files_and_models_are_the_network_of_the_path(network):
    content, model = network.read_bytes(), onnx.load(network)
    held = model.SerializeToString(deterministic=True)
    expected = compress(network, random(20, 8), Settings(0.5))
    with network.open("rb") as file:
        for source in (
            str(network),
            content,
            bytearray(content),
            memoryview(content),
            io.BytesIO(content),
            file,
            model,
        ):
            found = compress(source, random(20, 8), Settings(0.5))
            ours, theirs = (r.model.blocks[0].affine.weights[0].toarray() for r in (found, expected))
            np.testing.assert_array_equal(ours, theirs)
    assert model.SerializeToString(deterministic=True) == held


def test_size_and_hash_are_those_of_the_bytes(network):
    for source in (network.read_bytes(), io.BytesIO(network.read_bytes())):
        found, expected = load_teacher(source), load_teacher(network)
        assert (found.size, found.sha256) == (expected.size, expected.sha256)


def test_an_artifact_comes_as_bytes_or_an_open_file_too():
    path = MODELS / "fashion_implicit.sim.safetensors"
    expected = open_teacher(path)
    for source in (path.read_bytes(), io.BytesIO(path.read_bytes())):
        found = open_teacher(source)
        assert (found.sha256, found.size, found.model.nnz) == (
            expected.sha256,
            expected.size,
            expected.model.nnz,
        )
    with pytest.raises(InputError, match="leave the input shapes out"):
        open_teacher(path.read_bytes(), {"images": (1, 1, 28, 28)})


def test_weights_beside_the_network_are_found_where_the_file_has_a_name(network):
    model = onnx.load(network)
    onnx.save(model, network, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with network.open("rb") as file:
        assert load_teacher(file).model.nnz == 32
    bare = onnx.load(network, load_external_data=False)
    for source in (network.read_bytes(), bare):
        with pytest.raises(
            ModelFileError, match=r"its weights are in 'weights\.bin' beside a file that is not known"
        ):
            load_teacher(source)


def _closed(path: Path) -> object:
    with path.open("rb") as file:
        return file


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (lambda p: p.open(), ModelFileError, "open the file with 'rb'"),
        (lambda p: p.open("ab"), ModelFileError, "cannot be read .*open the file with 'rb'"),
        (_closed, ModelFileError, "cannot be read"),
        (lambda _: io.StringIO("text"), ModelFileError, "StringIO: gives str, not bytes"),
        (lambda _: b"", ModelFileError, "network of 0 bytes: is empty"),
        (lambda _: b"no network", ModelFileError, "network of 10 bytes: is not an ONNX network"),
        (lambda _: onnx.ModelProto(), ModelFileError, "ModelProto: is empty"),
        (lambda _: 3, InputError, "expected a path to an ONNX file or artifact, .*got int"),
        (lambda _: None, InputError, "got NoneType"),
    ],
)
def test_what_holds_no_network_is_refused(network, source, error, message):
    given = source(network)
    try:
        with pytest.raises(error, match=message):
            open_teacher(given)
    finally:
        if isinstance(given, io.IOBase):
            given.close()
