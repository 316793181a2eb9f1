"""The pass over a graph: constants leave it, known ways are taken, every node without a place is named."""

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, question, refusal
from tests.frontend.graphs import node, random

X = {"x": Placed((1, 4), 0)}


def _way(name: str, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.GraphProto:
    stored = [onnx.numpy_helper.from_array(v, n) for n, v in constants.items()]
    return helper.make_graph(
        nodes, name, [], [helper.make_empty_tensor_value_info(nodes[-1].output[0])], stored
    )


def _branching(size: int) -> list[onnx.NodeProto]:
    """x W where x has `size` entries, else -x, both in graphs of their own that use the same names."""
    ways = {
        "then_branch": _way(
            "then", [node("MatMul", ["x", "w"], ["h"]), node("Relu", ["h"], ["z"])], {"w": random(4, 4)}
        ),
        "else_branch": _way("else", [node("Neg", ["x"], ["h"]), node("Abs", ["h"], ["z"])], {}),
    }
    return [
        node("Relu", ["x"], ["o"]),
        node("Shape", ["x"], ["s"], start=1),
        node("Equal", ["s", f"size{size}"], ["c"]),
        node("If", ["c"], ["b"], "way", **ways),
        node("Add", ["b", "o"], ["y"]),
    ]


@pytest.mark.parametrize(("size", "kinds"), [(4, ["Relu", "MatMul", "Relu"]), (5, ["Relu", "Neg", "Abs"])])
def test_a_way_that_shapes_decide_is_taken(size: int, kinds: list[str]) -> None:
    found = assert_placed(question(_branching(size), X, {f"size{size}": np.array([size])}))
    assert [n.op_type for n in found.one_sample.nodes if n.op_type != "Identity"] == [*kinds, "Add"]


def test_a_way_that_data_decide_has_no_place() -> None:
    nodes = _branching(4)
    nodes[1:3] = [node("Greater", ["x", "x"], ["c"])]
    found = question(nodes, X).answer()
    assert [(r.node.op_type, r.reason) for r in found.refused] == [("If", None)]


def test_every_node_without_a_place_is_named_and_what_follows_from_it_is_not() -> None:
    nodes = [
        node("Softmax", ["x"], ["a"], "over samples", axis=0),
        node("Relu", ["a"], ["b"], "behind"),
        node("Unheard", ["x"], ["c"], "unheard"),
        node("Unheard", ["b"], ["d"], "unheard behind"),
        node("CumSum", ["x", "zero"], ["e"], "running"),
        node("Add", ["x", "x"], ["y"], "placed"),
    ]
    found = question(nodes, X, {"zero": np.array(0)}, ["y", "b", "d", "e"]).answer()
    assert [r.node.name for r in found.refused] == ["over samples", "unheard", "unheard behind", "running"]
    assert [r.reason is None for r in found.refused] == [False, True, True, False]
    assert "y" in found.tensors
    assert "b" not in found.tensors


def test_nodes_that_compute_constants_leave_the_graph() -> None:
    nodes = [
        node("Transpose", ["w"], ["t"]),
        node("Mul", ["t", "two"], ["scaled"]),
        node("MatMul", ["x", "scaled"], ["y"]),
        node("Relu", ["x"], ["unread"]),
    ]
    constants = {"w": random(3, 4), "two": np.asarray(2, np.float32)}
    found = assert_placed(question(nodes, X, constants, ["y"]))
    assert [n.op_type for n in found.one_sample.nodes] == ["MatMul"]
    (weight,) = found.one_sample.constants.values()
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), 2 * constants["w"].T)


def test_what_is_equal_for_all_samples_is_a_constant_of_one_of_them() -> None:
    """A mask of ones for every sample, worked on as an exporter does, becomes one constant."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("ConstantOfShape", ["s"], ["zeros"]),
        node("Cos", ["zeros"], ["ones"]),
        node("Softmax", ["ones"], ["even"], axis=1),
        node("Sub", ["x", "even"], ["y"]),
    ]
    found = assert_placed(question(nodes, X))
    assert [n.op_type for n in found.samples_first.nodes] == ["Sub"]
    assert str(found.tensors["even"]) == "[N, 4]"
    np.testing.assert_allclose(found.tensors["even"].first_sample, np.full((1, 4), 0.25))


def test_an_output_that_depends_on_the_number_of_samples_is_refused() -> None:
    nodes = [node("Relu", ["x"], ["y"]), node("Shape", ["x"], ["s"])]
    asked = question(nodes, X, outputs=["y", "s"])
    assert refusal(asked) == "the output 's' depends on the number of samples, or on which sample it is"


def test_constants_that_cannot_be_computed_are_refused() -> None:
    nodes = [node("Add", ["v", "w"], ["c"]), node("Mul", ["x", "c"], ["y"])]
    asked = question(nodes, X, {"v": random(3), "w": random(4)})
    assert "cannot be computed from its constants" in refusal(asked)


def test_known_numbers_have_the_types_that_the_graph_has_for_them() -> None:
    """A Cast of a size to float multiplies floats."""
    nodes = [
        node("Shape", ["x"], ["s"], start=1),
        node("Cast", ["s"], ["c"], to=onnx.TensorProto.FLOAT),
        node("Sqrt", ["c"], ["r"]),
        node("Div", ["x", "r"], ["y"]),
    ]
    found = assert_placed(question(nodes, X))
    assert [n.op_type for n in found.one_sample.nodes] == ["Div"]
