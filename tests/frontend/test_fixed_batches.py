"""The batch axis is symbolic in the cleaned graph, whatever the file fixed."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend import Teacher, load_teacher
from sim_compress.frontend.weights import whole
from sim_compress.runtime import Session
from tests.frontend.graphs import assert_close, exact, graph_of, node, random, random_inputs, run, saved

INTEGER = onnx.TensorProto.INT64


def _fixed(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """The model with its batch fixed, as many exporters write it."""
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    return model


def _reshaping(size: int) -> onnx.ModelProto:
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("Relu", ["c"], ["r"], "relu"),
        node("Reshape", ["r", "t"], ["f"], "flat"),
        node("MatMul", ["f", "v"], ["y"], "last"),
    ]
    constants = {"w": random(2, 3, 3, 3), "t": np.array([size, -1]), "v": random(2 * 4, 5)}
    model = graph_of(nodes, {"x": (3, 4, 4)}, constants, outputs=["r"])
    model.graph.output[0].name = "y"
    model.graph.output[0].type.tensor_type.ClearField("shape")
    for dim in (size, 5):
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = dim
    return _fixed(model, size)


def _assert_free(teacher: Teacher, size: int) -> None:
    """The cleaned graph and the model give for many samples what the file gives in its own batches."""
    feed = random_inputs(teacher, 3 * size)
    parts = [run(teacher.path, {n: u[i : i + size] for n, u in feed.items()}) for i in (0, size, 2 * size)]
    found, cleaned = Session(teacher.model).predict(feed), run(whole(teacher.graph, teacher.weights), feed)
    for name in teacher.outputs:
        expected = np.concatenate([p[name] for p in parts])
        assert_close(found[name], expected)
        assert_close(cleaned[name], expected)


@pytest.mark.parametrize("size", [1, 4])
def test_a_fixed_batch_is_freed_also_in_reshape_targets(tmp_path: Path, size: int) -> None:
    _assert_free(load_teacher(saved(tmp_path, _reshaping(size))), size)


def _with_shape_arithmetic() -> list[onnx.NodeProto]:
    """A reshape as torch writes x.view(x.size(0), a, b)."""
    return [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Unsqueeze", ["batch", "axes"], ["first"]),
        node("Concat", ["first", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["r"]),
        node("Relu", ["r"], ["y"], "relu"),
    ]


def _arithmetic_constants() -> dict[str, np.ndarray]:
    return {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([4, 3, 2])}


def test_shape_arithmetic_on_a_dynamic_batch_is_folded_away(tmp_path: Path) -> None:
    model = graph_of(_with_shape_arithmetic(), {"x": (4, 6)}, _arithmetic_constants())
    teacher = load_teacher(saved(tmp_path, model))
    assert [n.op_type for n in teacher.graph.graph.node] == ["Reshape", "Relu"]
    _assert_free(teacher, 1)


NAMING = {
    "expand": ([node("Expand", ["x", "t"], ["y"])], {"t": lambda n: np.array([n, 3, 5, 4])}),
    "resize": (
        [node("Resize", ["x", "", "", "s"], ["y"], mode="linear")],
        {"s": lambda n: np.array([n, 3, 7, 9])},
    ),
    "slice": (
        [node("Slice", ["x", "s", "e"], ["y"])],
        {"s": lambda _: np.array([0, 1]), "e": lambda n: np.array([n, 3])},
    ),
    "sum": ([node("Add", ["x", "k"], ["y"])], {"k": lambda n: np.repeat(random(1, 3, 1, 4), n, axis=0)}),
    "joined": (
        [node("Concat", ["k", "x", "x", "k"], ["y"], axis=1)],
        {"k": lambda n: np.repeat(random(1, 2, 1, 4), n, axis=0)},
    ),
}


@pytest.mark.parametrize("case", NAMING.values(), ids=NAMING)
@pytest.mark.parametrize("size", [1, 4])
def test_constants_that_name_the_batch_are_made_to_hold_for_any(
    tmp_path: Path, case: tuple, size: int
) -> None:
    nodes, constants = case
    model = graph_of(nodes, {"x": (3, 1, 4)}, {name: value(size) for name, value in constants.items()})
    _assert_free(load_teacher(saved(tmp_path, _fixed_input(model, size))), size)


def test_a_token_repeated_for_every_sample_joins_a_sequence(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Concat", ["batch", "rest"], ["target"], axis=0),
        node("Expand", ["token", "target"], ["tokens"]),
        node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    constants = {"zero": np.array([0]), "rest": np.array([1, 4]), "token": random(1, 1, 4)}
    teacher = load_teacher(saved(tmp_path, graph_of(nodes, {"x": (3, 4)}, constants)))
    _assert_free(teacher, 1)
    assert run(teacher.submodel(["x"], ["y"]), random_inputs(teacher, 5))["y"].shape == (5, 4, 4)


def test_a_result_that_depends_on_the_batch_size_is_refused(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Cast", ["batch"], ["count"], to=onnx.TensorProto.FLOAT),
        node("Div", ["x", "count"], ["y"]),
    ]
    model = graph_of(nodes, {"x": (4,)}, {"zero": np.array(0)})
    with pytest.raises(UnsupportedError, match="Div '-> y': the output 'y' depends on the number of samples"):
        load_teacher(saved(tmp_path, model))


def test_a_fixed_batch_beside_an_open_one_is_refused(tmp_path: Path) -> None:
    model = graph_of([node("MatMul", ["x", "w"], ["y"])], {"x": (3,), "u": (3,)}, {"w": random(3, 3)})
    model.graph.input[1].type.tensor_type.shape.dim[0].dim_value = 7
    with pytest.raises(UnsupportedError, match="input 'u' has no open axis beside others that have one"):
        load_teacher(saved(tmp_path, model))


def _fixed_input(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    del model.graph.value_info[:]
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


def test_a_way_that_every_batch_decides_alike_is_taken(tmp_path: Path) -> None:
    """x.shape[0] > 0 is no constant of the file; what both ways read stands around them."""
    end = helper.make_empty_tensor_value_info
    ways = {
        "then_branch": helper.make_graph(
            [node("MatMul", ["h", "v"], ["a"], "inside")], "then", [], [end("a")]
        ),
        "else_branch": helper.make_graph([node("Neg", ["h"], ["b"])], "else", [], [end("b")]),
    }
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "rows"),
        node("Shape", ["x"], ["s"], end=1),
        node("Greater", ["s", "none"], ["c"]),
        node("If", ["c"], ["y"], "way", **ways),
    ]
    constants = {"w": random(4, 3), "v": random(3, 5), "none": np.array([0])}
    teacher = exact(tmp_path, nodes, {"x": (4,)}, constants)
    assert [b.name for b in teacher.model.blocks] == ["rows"]
    assert teacher.model.nnz == 4 * 3 + 3 * 5
