"""Loops and scans whose rounds shapes and constants decide are written out, against onnxruntime."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import assert_exact, exact, graph_of, node, random, refused, saved

_TYPES = onnx.TensorProto
STEPS, FEATURES, HIDDEN = 4, 3, 5


def value(name: str, kind: int = _TYPES.FLOAT, shape: Sequence[int] | None = None) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def cell() -> list[onnx.NodeProto]:
    """h = tanh(x_t W + h R)."""
    return [
        node("MatMul", ["x_t", "w"], ["xw"], "inputs"),
        node("MatMul", ["h_in", "r"], ["hr"], "states"),
        node("Add", ["xw", "hr"], ["z"], "sum"),
        node("Tanh", ["z"], ["h_out"], "cell"),
    ]


WEIGHTS = {"w": random(FEATURES, HIDDEN), "r": random(HIDDEN, HIDDEN, seed=1) / 2}


def keras(condition: list[onnx.NodeProto], until: str = "goes_on") -> list[onnx.NodeProto]:
    """A recurrent layer as tf2onnx writes one: a loop that counts, and looks at its condition."""
    body = helper.make_graph(
        [
            node("Gather", ["t", "i"], ["x_t"], "entry", axis=0),
            *cell(),
            node("Add", ["count", "one"], ["count_out"], "next"),
            node("Less", ["count_out", "steps"], ["before_end"], "compare"),
            node("And", ["before_end", "always"], [until], "both"),
            node("Identity", ["h_out"], ["every"], "kept"),
        ],
        "body",
        [
            value("i", _TYPES.INT64, []),
            value("c", _TYPES.BOOL, []),
            value("count", _TYPES.INT64, []),
            value("h_in"),
        ],
        [
            value("goes_on", _TYPES.BOOL, []),
            value("count_out", _TYPES.INT64, []),
            value("h_out"),
            value("every"),
        ],
    )
    return [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Shape", ["t"], ["sizes"]),
        node("Gather", ["sizes", "zero"], ["steps"]),
        node("Gather", ["sizes", "one"], ["samples"]),
        node("Unsqueeze", ["samples", "first"], ["rows"]),
        node("Concat", ["rows", "width"], ["state_shape"], axis=0),
        node("ConstantOfShape", ["state_shape"], ["h0"]),
        *condition,
        node("Loop", ["most", "start", "zero", "h0"], ["number", "last", "all"], "while", body=body),
        node("Transpose", ["all"], ["y"], perm=[1, 0, 2]),
    ]


CONSTANTS = WEIGHTS | {
    "zero": np.array(0),
    "one": np.array(1),
    "first": np.array([0]),
    "width": np.array([HIDDEN]),
    "always": np.array(True),
    "most": np.array(2**40),
}


def test_a_loop_that_counts_to_a_size_is_unrolled(tmp_path: Path) -> None:
    start = [node("Less", ["zero", "steps"], ["start"])]
    for steps in (STEPS, 1):
        teacher = exact(tmp_path, keras(start), {"x": (steps, FEATURES)}, CONSTANTS, ["last", "y"])
        # The weights of all rounds are one; a first round without states has none of R.
        assert teacher.model.nnz == (FEATURES * HIDDEN if steps == 1 else FEATURES * HIDDEN + HIDDEN**2)


def test_a_loop_of_as_many_rounds_as_a_constant_says(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            node("Identity", ["c"], ["c_out"]),
            node("Cast", ["i"], ["f"], to=_TYPES.FLOAT),
            node("Mul", ["a", "half"], ["b"]),
            node("Add", ["b", "f"], ["a_out"]),
        ],
        "body",
        [value("i", _TYPES.INT64, []), value("c", _TYPES.BOOL, []), value("a")],
        [value("c_out", _TYPES.BOOL, []), value("a_out")],
        [helper.make_tensor("half", _TYPES.FLOAT, [], [0.5])],
    )
    for rounds in (3, 0):
        loop = [node("Loop", ["rounds", "", "x"], ["y"], "loop", body=body)]
        exact(tmp_path, loop, {"x": (FEATURES,)}, {"rounds": np.array(rounds)})


def scan(back: int = 0, axis: int = 1) -> list[onnx.NodeProto]:
    body = helper.make_graph(
        [*cell(), node("Identity", ["h_out"], ["every"])],
        "body",
        [value("h_in"), value("x_t")],
        [value("h_out"), value("every")],
    )
    turns = {"scan_input_axes": [axis], "scan_output_axes": [1], "scan_input_directions": [back]}
    return [
        node("Slice", ["x", "first", "one1", "one1"], ["x0"]),
        node("Squeeze", ["x0", "one1"], ["flat"]),
        node("MatMul", ["flat", "w"], ["start"]),
        node("Scan", ["start", "x"], ["last", "y"], "scan", num_scan_inputs=1, body=body, **turns),
    ]


def test_a_scan_goes_through_the_entries_of_an_axis_in_either_direction(tmp_path: Path) -> None:
    constants = CONSTANTS | {"one1": np.array([1])}
    for back in (0, 1):
        exact(tmp_path, scan(back), {"x": (STEPS, FEATURES)}, constants, ["last", "y"])


def test_rounds_that_data_decide_too_many_and_those_along_the_samples_are_refused(tmp_path: Path) -> None:
    start = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Less", ["m", "limit"], ["start"])]
    constants = CONSTANTS | {"limit": np.float32(0.5), "one1": np.array([1])}
    message = refused(tmp_path, keras(start), {"x": (STEPS, FEATURES)}, constants, ["last", "y"])
    assert "reduces all axes" in message
    by_data = [node("Cast", ["x"], ["start"], to=_TYPES.BOOL)]
    body = keras(by_data)[-2]
    flags = [node("Squeeze", ["flag"], ["one_flag"]), node("Cast", ["one_flag"], ["start"], to=_TYPES.BOOL)]
    loop = [*keras(flags)[:-2], body, keras(flags)[-1]]
    message = refused(tmp_path, loop, {"x": (STEPS, FEATURES), "flag": (1,)}, constants, ["last", "y"])
    assert "Loop 'while': this operator is not supported: it runs a graph of its own" in message
    start = [node("Less", ["zero", "steps"], ["start"])]
    message = refused(
        tmp_path, keras(start), {"x": (1500, 1)}, constants | {"w": random(1, HIDDEN)}, ["last"]
    )
    assert "Loop 'while': runs more than 1024 rounds" in message
    never = keras([node("Less", ["steps", "zero"], ["start"])])
    message = refused(tmp_path, never, {"x": (STEPS, FEATURES)}, constants, ["last", "y"])
    assert "Loop 'while': runs no round, and gives the results of all of them" in message
    message = refused(tmp_path, scan(axis=0), {"x": (STEPS, FEATURES)}, constants, ["last", "y"])
    assert "Scan 'scan': goes from entry to entry of the batch axis" in message


def test_sizes_are_asked_for_where_they_decide_how_many_rounds_there_are(tmp_path: Path) -> None:
    model = graph_of(scan(), {"x": ("frames", FEATURES)}, CONSTANTS | {"one1": np.array([1])}, ["last", "y"])
    path = saved(tmp_path, model)
    with pytest.raises(UnsupportedError, match=r"fix it with --input-shape x=1x\?x3 "):
        load_teacher(path)
    assert_exact(load_teacher(path, {"x": (1, STEPS, FEATURES)}))
