"""Every way a network file can be wrong gives one clear error and no noise."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.errors import ModelFileError, UnsupportedError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import IR_VERSION, assert_exact, graph_of, node, random, saved


@pytest.fixture
def network(tmp_path: Path) -> Path:
    nodes = [node("MatMul", ["x", "w"], ["h"], "product"), node("Relu", ["h"], ["y"], "relu")]
    return saved(tmp_path, graph_of(nodes, {"x": (8,)}, {"w": random(8, 4)}))


def _missing(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _random(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(1000))


def _text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\n")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _without_inputs(path: Path) -> None:
    model = onnx.load(path)
    del model.graph.input[:]
    onnx.save(model, path)


def _without_outputs(path: Path) -> None:
    model = onnx.load(path)
    del model.graph.output[:]
    onnx.save(model, path)


def _without_graph(path: Path) -> None:
    model = onnx.load(path)
    model.ClearField("graph")
    onnx.save(model, path)


def _with_a_dangling_input(path: Path) -> None:
    model = onnx.load(path)
    model.graph.node[0].input[0] = "nowhere"
    onnx.save(model, path)


def _with_shapes_that_do_not_fit(path: Path) -> None:
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(random(7, 4), "w"))
    onnx.save(model, path)


def _without_its_external_data(path: Path) -> None:
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").unlink()


def _with_external_data_cut_off(path: Path) -> None:
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    (path.parent / "weights.bin").write_bytes(b"1234")


BAD = {
    _missing: "no such file",
    _folder: "is a folder",
    _empty: "is empty",
    _random: "is not an ONNX network",
    _text: "is not an ONNX network",
    _truncated: "is not an ONNX network, or is cut off",
    _without_inputs: "has no inputs",
    _without_outputs: "has no outputs",
    _without_graph: "is not an ONNX network",
    _with_a_dangling_input: "onnxruntime refuses the network",
    _with_shapes_that_do_not_fit: "onnxruntime refuses the network",
    _without_its_external_data: "'weights.bin', which is missing",
    _with_external_data_cut_off: "external weights cannot be loaded",
}


@pytest.mark.parametrize(("spoil", "message"), BAD.items(), ids=[f.__name__.strip("_") for f in BAD])
def test_a_bad_file_gives_one_clear_error_and_no_noise(
    network: Path, spoil, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    spoil(network)
    with pytest.raises(ModelFileError) as caught:
        load_teacher(network)
    assert message in str(caught.value)
    assert str(network) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_file_cut_anywhere_gives_a_named_error(network: Path, cut: int) -> None:
    data = network.read_bytes()
    network.write_bytes(data[: len(data) * cut // 40])
    with pytest.raises(ModelFileError):
        load_teacher(network)


def test_a_file_of_an_old_operator_set_is_refused(network: Path) -> None:
    model = onnx.load(network)
    model.opset_import[0].version = 6
    onnx.save(model, network)
    with pytest.raises(UnsupportedError, match="operator set 6 is older than 7"):
        load_teacher(network)


def test_external_data_counts_in_size_and_hash(network: Path) -> None:
    plain = load_teacher(network)
    assert (plain.size, plain.sha256) == (
        network.stat().st_size,
        hashlib.sha256(network.read_bytes()).hexdigest(),
    )
    onnx.save(
        onnx.load(network), network, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    split = load_teacher(str(network))
    weights = network.parent / "weights.bin"
    assert_exact(split)
    assert split.size == network.stat().st_size + weights.stat().st_size
    assert split.sha256 == hashlib.sha256(network.read_bytes() + weights.read_bytes()).hexdigest()


def test_a_file_of_the_newest_format_version_loads(network: Path) -> None:
    model = onnx.load(network)
    model.ir_version = onnx.IR_VERSION
    onnx.save(model, network)
    assert load_teacher(network).model.nnz == 32


def test_weights_listed_as_inputs_are_still_weights(network: Path) -> None:
    model = onnx.load(network)
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("w", onnx.TensorProto.FLOAT, [8, 4]))
    onnx.save(model, network)
    teacher = load_teacher(network)
    assert [i.name for i in teacher.model.inputs] == ["x"]
    assert_exact(teacher)


def test_functions_of_the_file_are_inlined(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17)]
    body = [node("Relu", ["a"], ["r"]), node("Tanh", ["r"], ["b"])]
    function = helper.make_function("local", "Squashed", ["a"], ["b"], body, opsets)
    graph = graph_of([node("Identity", ["x"], ["y"])], {"x": (3,)}).graph
    graph.node[0].CopyFrom(node("Squashed", ["x"], ["y"], domain="local"))
    model = helper.make_model(
        graph,
        functions=[function],
        ir_version=IR_VERSION,
        opset_imports=[*opsets, helper.make_opsetid("local", 1)],
    )
    teacher = load_teacher(saved(tmp_path, model))
    assert [b.phi.name for b in teacher.model.blocks] == ["relu", "tanh"]
    assert_exact(teacher)
