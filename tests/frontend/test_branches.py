"""An If whose way follows from shapes or constants is the nodes of that way; else what decides is named."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import assert_exact, graph_of, node, random, saved


def way(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray] | None = None
) -> onnx.GraphProto:
    end = helper.make_empty_tensor_value_info(nodes[-1].output[0])
    stored = [numpy_helper.from_array(v, n) for n, v in (constants or {}).items()]
    return helper.make_graph(nodes, name, [], [end], stored)


def branch(condition: str, output: str, then: onnx.GraphProto, other: onnx.GraphProto) -> onnx.NodeProto:
    return node("If", [condition], [output], f"{output}_way", then_branch=then, else_branch=other)


def by_rate() -> onnx.ModelProto:
    """As a voice detector for two sampling rates, which is an input."""
    fast = way("fast", [node("MatMul", ["x", "v"], ["a"]), node("Relu", ["a"], ["fast_y"])])
    slow = way("slow", [node("MatMul", ["x", "w"], ["slow_y"])])
    nodes = [node("Equal", ["rate", "sixteen"], ["is_fast"]), branch("is_fast", "y", fast, slow)]
    constants = {"v": random(3, 4), "w": random(3, 4, seed=1), "sixteen": np.array(16000)}
    model = graph_of(nodes, {"x": (3,)}, constants, ["y"])
    model.graph.input.append(helper.make_tensor_value_info("rate", onnx.TensorProto.INT64, []))
    return model


def test_the_input_that_decides_is_named_and_its_value_may_be_written_into_the_file(tmp_path: Path) -> None:
    model = by_rate()
    with pytest.raises(UnsupportedError) as caught:
        load_teacher(saved(tmp_path, model))
    message = str(caught.value)
    assert (
        "If 'y_way': this operator is not supported: the input 'rate' decides which of its graphs" in message
    )
    advice = message.partition("into the file: ")[2].partition("\n")[0].replace("VALUE", "16000")
    exec(advice, {"model": model, "onnx": onnx, "np": np})
    teacher = load_teacher(saved(tmp_path, model))
    assert [b.phi.name for b in teacher.model.blocks] == ["relu"]
    assert_exact(teacher)


def test_ways_inside_a_way_read_its_tensors(tmp_path: Path) -> None:
    inner = branch(
        "is_wide",
        "inner_y",
        way("wide", [node("Add", ["scaled", "scaled"], ["wide_y"])]),
        way("thin", [node("Neg", ["scaled"], ["thin_y"])]),
    )
    outer = [
        node("Mul", ["x", "two"], ["scaled"]),
        node("Shape", ["scaled"], ["sizes"], start=1, end=2),
        node("Equal", ["sizes", "three"], ["is_wide"]),
        inner,
        node("Relu", ["inner_y"], ["outer_y"]),
    ]
    nodes = [
        node("Shape", ["x"], ["shape"], start=1, end=2),
        node("Equal", ["shape", "three"], ["is_three"]),
        branch("is_three", "y", way("outer", outer), way("other", [node("Identity", ["x"], ["other_y"])])),
    ]
    constants = {"two": np.float32(2), "three": np.array([3])}
    assert_exact(load_teacher(saved(tmp_path, graph_of(nodes, {"x": (3,)}, constants, ["y"]))))


def test_a_way_may_hold_large_weights(tmp_path: Path) -> None:
    weighted = way("weighted", [node("MatMul", ["x", "own"], ["own_y"])], {"own": random(64, 80)})
    nodes = [
        node("Shape", ["x"], ["shape"], start=1, end=2),
        node("Equal", ["shape", "wide"], ["is_wide"]),
        branch("is_wide", "y", weighted, way("other", [node("Identity", ["x"], ["other_y"])])),
    ]
    teacher = load_teacher(saved(tmp_path, graph_of(nodes, {"x": (64,)}, {"wide": np.array([64])}, ["y"])))
    assert teacher.model.nnz == 64 * 80
    assert_exact(teacher)
