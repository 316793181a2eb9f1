"""What becomes a block, what it is called, and that no weight is held twice."""

from pathlib import Path

import numpy as np

from sim_compress.frontend import StateTensors
from sim_compress.frontend.lower.names import block_names
from tests.frontend.graphs import exact, graph_of, node, random

CONV = {"pads": [1, 1, 1, 1]}


def test_a_parametric_output_that_is_read_twice_becomes_one_identity_block(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv", **CONV),
        node("Relu", ["c"], ["r"], "relu"),
        node("Sigmoid", ["c"], ["s"], "gate"),
        node("Add", ["r", "s"], ["y"], "add"),
    ]
    weight = random(3, 3, 3, 3)
    teacher = exact(tmp_path, nodes, {"x": (3, 4, 4)}, {"w": weight})
    assert [(b.name, b.phi.name) for b in teacher.model.blocks] == [
        ("conv", "identity"),
        ("relu", "relu"),
        ("gate", "sigmoid"),
    ]
    assert teacher.model.nnz == weight.size
    assert teacher.tensors == {
        "conv": StateTensors("c", "c"),
        "relu": StateTensors("c", "r"),
        "gate": StateTensors("c", "s"),
    }


def test_a_parametric_output_that_is_also_a_graph_output_becomes_a_block(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["h"], "product"), node("Relu", ["h"], ["y"], "relu")]
    teacher = exact(tmp_path, nodes, {"x": (3,)}, {"w": random(3, 4)}, outputs=["h", "y"])
    assert [b.name for b in teacher.model.blocks] == ["product", "relu"]
    assert teacher.outputs == {"h": "h", "y": "y"}
    assert teacher.model.nnz == 12


def test_the_last_parametric_node_is_the_prediction_equation(tmp_path: Path) -> None:
    nodes = [node("Relu", ["x"], ["r"], "relu"), node("MatMul", ["r", "w"], ["y"], "last")]
    teacher = exact(tmp_path, nodes, {"x": (3,)}, {"w": random(3, 4)})
    assert [b.name for b in teacher.model.blocks] == ["relu"]
    assert teacher.model.outputs[0].affine.nnz == 12


def test_a_fixed_map_behind_a_weight_reads_an_identity_block(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node("Transpose", ["c"], ["t"], perm=[0, 2, 3, 1]),
        node("Relu", ["t"], ["y"], "relu"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (3, 4, 5)}, {"w": random(2, 3, 1, 1)})
    assert [b.name for b in teacher.model.blocks] == ["conv", "relu"]
    assert teacher.model.blocks[1].affine.nnz == 0


def test_a_rearranged_source_may_be_read_any_number_of_times(tmp_path: Path) -> None:
    nodes = [
        node("GlobalAveragePool", ["x"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "v"], ["a"], "a"),
        node("MatMul", ["f", "w"], ["b"], "b"),
        node("Add", ["a", "b"], ["y"]),
    ]
    constants = {"v": random(3, 4), "w": random(3, 4, seed=1)}
    teacher = exact(tmp_path, nodes, {"x": (3, 4, 5)}, constants)
    assert teacher.model.blocks == ()
    assert len(teacher.model.outputs[0].affine.weighted) == 2


def test_a_sum_of_sources_becomes_a_block_before_a_weight(tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "u"], ["s"], "sum"), node("MatMul", ["s", "w"], ["y"])]
    teacher = exact(tmp_path, nodes, {"x": (3,), "u": (3,)}, {"w": random(3, 4)})
    assert [(b.name, b.affine.nnz) for b in teacher.model.blocks] == [("sum", 0)]


def test_missing_and_taken_names_give_way_to_tensor_names(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], ["a"], "own"),
        node("Sigmoid", ["a"], ["b"]),
        node("Relu", ["b"], ["c"], "x"),
        node("Tanh", ["c"], ["d"], "a"),
        node("Sigmoid", ["d"], ["y"], "y"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (3,)})
    assert [b.name for b in teacher.model.blocks] == ["own", "b", "c", "d", "Sigmoid:y"]


def test_repeated_names_give_way_to_tensor_names() -> None:
    nodes = [node("Relu", ["x"], ["a"], "same"), node("Tanh", ["a"], ["y"], "same")]
    assert block_names(graph_of(nodes, {"x": (3,)}).graph) == {"a": "a", "y": "Tanh:y"}


def test_a_network_with_several_inputs_and_outputs_is_exact(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "v"], ["a"], "a"),
        node("Conv", ["u", "w"], ["c"], "c"),
        node("GlobalAveragePool", ["c"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Add", ["a", "f"], ["s"]),
        node("Relu", ["s"], ["r"], "r"),
    ]
    constants = {"v": random(5, 4), "w": random(4, 2, 3, 3)}
    teacher = exact(tmp_path, nodes, {"x": (5,), "u": (2, 6, 6)}, constants, outputs=["r", "f"])
    assert [i.name for i in teacher.model.inputs] == ["x", "u"]
    assert [o.name for o in teacher.model.outputs] == ["r", "f"]


def test_nodes_that_no_output_needs_are_left_out(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], ["y"], "relu"),
        node("MatMul", ["x", "w"], ["h"], "unread"),
        node("Softmax", ["h"], ["s"], "unsupported"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (3,)}, {"w": np.eye(3, dtype=np.float32)}, outputs=["y"])
    assert teacher.model.nnz == 0
    assert [n.name for n in teacher.graph.graph.node] == ["relu"]
