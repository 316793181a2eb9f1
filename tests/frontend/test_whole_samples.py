"""Files whose batch cannot be freed, or that have none: every axis is one of a sample's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sim_compress import Settings, compress, load
from sim_compress.errors import UnsupportedError
from sim_compress.frontend import load_teacher
from sim_compress.runtime import Session
from tests.frontend.graphs import IR_VERSION, assert_close, node, random, run, saved


def fixed(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int]],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = 17,
) -> onnx.ModelProto:
    """A model of inputs with these axes and no others; its output is the last node's."""
    infos = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in inputs.items()]
    end = onnx.ValueInfoProto(name=nodes[-1].output[0])
    end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    tensors = [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()]
    graph = helper.make_graph(list(nodes), "graph", infos, [end], tensors)
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", opset)])
    return onnx.shape_inference.infer_shapes(model)


def assert_whole(path: Path, samples: int = 4) -> None:
    """The model gives for several samples what the file gives for one at a time."""
    teacher = load_teacher(path)
    assert teacher.notes
    model = onnx.load(path)
    shapes = {i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    feed = {n: random(samples, *s, seed=k) for k, (n, s) in enumerate(shapes.items())}
    one = [run(path, {n: np.asarray(u[i]) for n, u in feed.items()}) for i in range(samples)]
    found = Session(teacher.model).predict(feed)
    for name, value in found.items():
        assert_close(value, np.stack([o[name] for o in one]))


SQUEEZED: list[onnx.NodeProto] = [
    node("Conv", ["x", "w"], ["c"], "conv"),
    node("Relu", ["c"], ["r"], "relu"),
    node("Squeeze", ["r", "first"], ["s"], "squeeze"),
    node("Reshape", ["s", "rows"], ["t"], "rows"),
    node("Transpose", ["t"], ["u"], "turn", perm=[1, 0]),
    node("Gemm", ["u", "v", "b"], ["y"], "last", transB=1),
]
CONSTANTS = {
    "w": random(4, 2, 3, 3),
    "first": np.array([0]),
    "rows": np.array([4, 9]),
    "v": random(3, 4, seed=1),
    "b": random(3, seed=2),
}


def squeezed(folder: Path) -> Path:
    """A network of one image whose batch of one is squeezed away: a vector of scores for each pixel."""
    return saved(folder, fixed(SQUEEZED, {"x": (1, 2, 5, 5)}, CONSTANTS))


def test_a_squeezed_batch_of_one_stays_an_axis_of_the_sample(tmp_path):
    assert_whole(squeezed(tmp_path))


def test_samples_may_be_joined_along_their_first_axis_of_one(tmp_path):
    path = squeezed(tmp_path)
    joined = random(40, 2, 5, 5)
    result = compress(path, joined, Settings(0.4))
    assert result.provenance["notes"] == list(load_teacher(path).notes)
    artifact = tmp_path / "whole.sim.safetensors"
    result.save(artifact)
    session = load(artifact)
    np.testing.assert_array_equal(session(joined), session(joined[:, None]))
    assert session(joined).shape == (40, 9, 3)


Case = tuple[list[onnx.NodeProto], dict[str, Sequence[int]], dict[str, Any]]
CASES: dict[str, Case] = {
    "a vector": (
        [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["r"]), node("Add", ["r", "b"], ["y"])],
        {"x": (1, 6)},
        {"w": random(6, 4), "b": random(3, 1, 4)},
    ),
    "tokens without a batch": (
        [
            node("MatMul", ["x", "w"], ["h"]),
            node("Transpose", ["h"], ["t"]),
            node("MatMul", ["h", "t"], ["s"]),
            node("Softmax", ["s"], ["p"], axis=1),
            node("MatMul", ["p", "h"], ["m"]),
            node("ReduceMean", ["m"], ["y"], axes=[0], keepdims=0),
        ],
        {"x": (5, 3)},
        {"w": random(3, 4)},
    ),
    "slices along the first axis": (
        [
            node("Slice", ["x", "starts", "ends"], ["a"]),
            node("Gather", ["x", "last"], ["b"], axis=0),
            node("Mul", ["a", "b"], ["m"]),
            node("Concat", ["m", "x", "token"], ["y"], axis=0),
        ],
        {"x": (4, 3)},
        {"starts": np.array([1]), "ends": np.array([3]), "last": np.array(3), "token": random(1, 3)},
    ),
    "padding, splitting and joining again": (
        [
            node("Pad", ["x", "pads"], ["p"]),
            node("Split", ["p"], ["a", "b"], axis=0),
            node("Sub", ["a", "b"], ["d"]),
            node("ReduceMax", ["d"], ["y"], keepdims=0),
        ],
        {"x": (3, 4)},
        {"pads": np.array([1, 0, 0, 0])},
    ),
    "activations of different ranks": (
        [node("ReduceSum", ["x", "axes"], ["s"], keepdims=0), node("Div", ["x", "s"], ["y"])],
        {"x": (2, 3, 4)},
        {"axes": np.array([0])},
    ),
    "expanded, tiled and flattened": (
        [
            node("Unsqueeze", ["x", "axes"], ["u"]),
            node("Expand", ["u", "shape"], ["e"]),
            node("Tile", ["e", "repeats"], ["t"]),
            node("Flatten", ["t"], ["f"], axis=2),
            node("Relu", ["f"], ["y"]),
        ],
        {"x": (3,)},
        {"axes": np.array([0]), "shape": np.array([2, 3]), "repeats": np.array([1, 2])},
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nodes_act_on_the_axes_of_the_file(tmp_path, case):
    nodes, inputs, constants = case
    assert_whole(saved(tmp_path, fixed(nodes, inputs, constants)))


def test_a_softmax_of_an_older_operator_set_keeps_its_default_axis(tmp_path):
    nodes = [
        node("Softmax", ["x"], ["p"]),
        node("ReduceSum", ["p"], ["y"], axes=[0], keepdims=0),
    ]
    assert_whole(saved(tmp_path, fixed(nodes, {"x": (3, 4)}, opset=11)))


def test_a_file_whose_batch_is_free_keeps_it(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["y"])]
    teacher = load_teacher(saved(tmp_path, fixed(nodes, {"x": (1, 6)}, {"w": random(6, 4)})))
    assert teacher.notes == ()
    assert teacher.model.inputs[0].shape == (6,)


def test_images_that_are_summed_are_images_of_one_sample(tmp_path):
    nodes = [*SQUEEZED[:2], node("ReduceSum", ["r", "first"], ["y"])]
    path = saved(tmp_path, fixed(nodes, {"x": (2, 2, 5, 5)}, CONSTANTS))
    assert_whole(path)
    assert load_teacher(path).model.nnz == CONSTANTS["w"].size


def test_an_open_first_axis_that_is_no_batch_is_fixed_as_asked(tmp_path):
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("ReduceMax", ["h"], ["y"], axes=[0], keepdims=0)]
    model = fixed(nodes, {"x": (5, 3)}, {"w": random(3, 4)})
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "tokens"
    path = saved(tmp_path, model)
    with pytest.raises(UnsupportedError, match="batch axis"):
        load_teacher(path)
    teacher = load_teacher(path, {"x": (5, 3)})
    feed = random(4, 5, 3)
    expected = np.stack([run(path, {"x": u})["y"] for u in feed])
    assert_close(Session(teacher.model)(feed), expected)


def test_inputs_without_axes_belong_to_files_whose_runs_are_one_sample(tmp_path: Path) -> None:
    """As the speed of a voice beside a text of fixed length."""
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Mul", ["h", "speed"], ["y"])]
    path = saved(tmp_path, fixed(nodes, {"x": (5, 3), "speed": ()}, {"w": random(3, 4)}))
    assert_whole(path)


def test_where_some_inputs_alone_are_open_their_sizes_are_asked_for(tmp_path: Path) -> None:
    """As frames of a sound, one after the other, beside the states of a recurrent layer."""
    nodes = [
        node("Unsqueeze", ["x", "one"], ["t"]),
        node("GRU", ["t", "w", "r", "", "", "h"], ["s", "end"], "cell", hidden_size=4),
        node("Squeeze", ["s"], ["y"]),
    ]
    constants = {"one": np.array([1]), "w": random(1, 12, 3), "r": random(1, 12, 4)}
    model = fixed(nodes, {"x": (5, 3), "h": (1, 1, 4)}, constants)
    whole = saved(tmp_path, model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "frames"
    del model.graph.value_info[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path = tmp_path / "open.onnx"
    onnx.save(model, path)
    with pytest.raises(
        UnsupportedError, match=r"fix its sizes: --input-shape x=\?x3 \(input_shapes in Python\)"
    ):
        load_teacher(path)
    asked = load_teacher(path, {"x": (5, 3)}).model
    feed = {"x": random(2, 5, 3), "h": random(2, 1, 1, 4)}
    for name, value in Session(load_teacher(whole).model).predict(feed).items():
        assert_close(Session(asked).predict(feed)[name], value)
    assert_whole(whole)


def test_an_open_length_that_was_taken_for_the_samples_is_asked_for(tmp_path: Path) -> None:
    nodes = [node("Conv", ["x", "w"], ["y"], "conv", pads=[1, 1])]
    model = fixed(nodes, {"x": (1, 2, 9)}, {"w": random(4, 2, 3)})
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "length"
    del model.graph.value_info[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    path = saved(tmp_path, model)
    with pytest.raises(UnsupportedError, match=r"fix its size with --input-shape x=1x2x\? ") as caught:
        load_teacher(path)
    assert "onnx.utils.extract_model" not in str(caught.value)
    assert load_teacher(path, {"x": (1, 2, 9)}).model.inputs[0].shape == (2, 9)
