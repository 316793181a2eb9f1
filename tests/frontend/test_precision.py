"""Networks in float16, bfloat16 and float64 are taken as the float32 networks that they stand for."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sim_compress.frontend import Teacher, load_teacher
from sim_compress.runtime import Session
from tests.frontend.graphs import exact, graph_of, node, random, run, saved

# Relative to the largest output: float16 has 11 bits, and onnxruntime may round every step to them.
HALF = 5e-3
DOUBLE = 1e-5


def _network(kind: int, dtype: type) -> onnx.ModelProto:
    nodes = [
        node("MatMul", ["x", "w"], ["m"], "product"),
        node("Add", ["m", "b"], ["a"]),
        node("Relu", ["a"], ["y"], "relu"),
    ]
    model = graph_of(nodes, {"x": (4,)}, {"w": random(4, 3).astype(dtype), "b": random(3).astype(dtype)})
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = kind
    return model


def _assert_near(teacher: Teacher, dtype: type, tolerance: float) -> None:
    x = random(5, 4)
    expected = run(teacher.path, {"x": x.astype(dtype)})["y"].astype(np.float32)
    found = Session(teacher.model).predict({"x": x})["y"]
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())
    assert teacher.model.nnz == 15


@pytest.mark.parametrize(
    ("kind", "dtype", "tolerance"),
    [(TensorProto.FLOAT16, np.float16, HALF), (TensorProto.DOUBLE, np.float64, DOUBLE)],
    ids=["float16", "float64"],
)
def test_a_whole_network_in_another_type_is_taken_in_float32(
    tmp_path: Path, kind: int, dtype: type, tolerance: float
) -> None:
    teacher = load_teacher(saved(tmp_path, _network(kind, dtype)))
    assert {v.type.tensor_type.elem_type for v in teacher.graph.graph.input} == {TensorProto.FLOAT}
    _assert_near(teacher, dtype, tolerance)


def test_weights_in_float16_behind_casts_are_exact(tmp_path: Path) -> None:
    nodes = [
        node("Cast", ["w"], ["v"], to=TensorProto.FLOAT),
        node("MatMul", ["x", "v"], ["m"]),
        node("Relu", ["m"], ["y"]),
    ]
    exact(tmp_path, nodes, {"x": (4,)}, {"w": random(4, 3).astype(np.float16)})


def test_weights_in_bfloat16_are_read(tmp_path: Path) -> None:
    nodes = [node("Cast", ["w"], ["v"], to=TensorProto.FLOAT), node("MatMul", ["x", "v"], ["y"])]
    model = graph_of(nodes, {"x": (4,)}, {"w": np.ones((4, 3), np.float32)})
    halves = helper.make_tensor("w", TensorProto.BFLOAT16, [4, 3], np.arange(12, dtype=np.float32))
    model.graph.initializer[0].CopyFrom(halves)
    teacher = load_teacher(saved(tmp_path, model))
    np.testing.assert_array_equal(
        Session(teacher.model).predict({"x": np.eye(4, dtype=np.float32)})["y"], np.arange(12).reshape(4, 3)
    )


def test_a_constant_node_in_another_type_is_converted_too(tmp_path: Path) -> None:
    model = _network(TensorProto.DOUBLE, np.float64)
    value = numpy_helper.from_array(np.full(3, 2.0), "value")
    model.graph.node.insert(0, node("Constant", [], ["k"], value=value))
    model.graph.node[-1].input[0] = "s"
    model.graph.node.insert(3, node("Sub", ["a", "k"], ["s"]))
    _assert_near(load_teacher(saved(tmp_path, model)), np.float64, DOUBLE)
