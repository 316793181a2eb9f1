"""LSTM, GRU and RNN, unrolled, against onnxruntime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sim_compress.frontend import load_teacher
from tests.frontend.graphs import assert_exact, exact, graph_of, node, random, refused, saved, typed

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, FEATURES, HIDDEN = 5, 3, 4
OUTPUTS = {"LSTM": ["y", "h", "c"], "GRU": ["y", "h"], "RNN": ["y", "h"]}


def weights(operator: str, directions: int = 1, biased: bool = True) -> dict[str, np.ndarray]:
    rows = GATES[operator] * HIDDEN
    stored = {
        "w": random(directions, rows, FEATURES, seed=1),
        "r": random(directions, rows, HIDDEN, seed=2) / 2,
    }
    return stored | ({"b": random(directions, 2 * rows, seed=3)} if biased else {})


def graph(operator: str, inputs: list[str], **settings: Any) -> list[onnx.NodeProto]:
    """The samples of x (N, steps, features) come second, as the operator has them."""
    moved = node("Transpose", ["x"], ["t"], perm=[1, 0, 2])
    own = node(operator, ["t", *inputs], OUTPUTS[operator], "cell", hidden_size=HIDDEN, **settings)
    return [moved, own]


@pytest.mark.parametrize("operator", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("biased", [False, True])
def test_recurrent_operators_are_exact_in_every_direction(
    tmp_path: Path, operator: str, direction: str, biased: bool
) -> None:
    stored = weights(operator, 1 + (direction == "bidirectional"), biased)
    nodes = graph(operator, list(stored), direction=direction)
    exact(tmp_path, nodes, {"x": (STEPS, FEATURES)}, stored, OUTPUTS[operator])


@pytest.mark.parametrize("biased", [False, True])
def test_the_reset_gate_of_a_gru_may_stand_behind_the_weights(tmp_path: Path, biased: bool) -> None:
    stored = weights("GRU", 2, biased)
    nodes = graph("GRU", list(stored), direction="bidirectional", linear_before_reset=1)
    exact(tmp_path, nodes, {"x": (STEPS, FEATURES)}, stored, OUTPUTS["GRU"])


@pytest.mark.parametrize("operator", GATES)
def test_states_to_start_with_are_inputs_or_constants(tmp_path: Path, operator: str) -> None:
    stored = weights(operator, 2)
    names = OUTPUTS[operator][1:]
    moved = [node("Transpose", [f"{n}_in"], [f"{n}0"], perm=[1, 0, 2]) for n in names]
    nodes = graph(operator, ["w", "r", "b", "", *(f"{n}0" for n in names)], direction="bidirectional")
    shapes = {"x": (STEPS, FEATURES)} | {f"{n}_in": (2, HIDDEN) for n in names}
    exact(tmp_path, [*moved, *nodes], shapes, stored, OUTPUTS[operator])
    constant = stored | {f"{n}0": random(2, 1, HIDDEN, seed=5 + i) for i, n in enumerate(names)}
    model = graph_of(nodes, {"x": (STEPS, FEATURES)}, constant, OUTPUTS[operator])
    # A constant for one sample fits a batch of one.
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert_exact(load_teacher(saved(tmp_path, model)))


@pytest.mark.parametrize("reset", [0, 1])
def test_a_gru_starts_from_a_constant_in_either_order(tmp_path: Path, reset: int) -> None:
    stored = weights("GRU") | {"h0": random(1, 1, HIDDEN, seed=5)}
    nodes = graph("GRU", ["w", "r", "b", "", "h0"], linear_before_reset=reset)
    model = graph_of(nodes, {"x": (STEPS, FEATURES)}, stored, OUTPUTS["GRU"])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert_exact(load_teacher(saved(tmp_path, model)))


@pytest.mark.parametrize("operator", GATES)
def test_sequences_have_lengths_of_their_own(tmp_path: Path, operator: str) -> None:
    stored = weights(operator, 2)
    nodes = graph(operator, ["w", "r", "b", "lengths"], direction="bidirectional")
    model = graph_of(nodes, {"x": (STEPS, FEATURES), "lengths": ()}, stored, OUTPUTS[operator])
    teacher = load_teacher(saved(tmp_path, typed(model, {"lengths": onnx.TensorProto.INT32})))
    lengths = np.array([1, 5, 3, 2], np.int32)
    assert_exact(teacher, {"x": random(4, STEPS, FEATURES), "lengths": lengths})


def test_lengths_that_are_all_steps_ask_for_nothing(tmp_path: Path) -> None:
    stored = weights("LSTM") | {"steps": np.array([STEPS], np.int32), "one": np.array([1], np.int64)}
    sizes = [
        node("Shape", ["x"], ["sizes"], start=0, end=1),
        node("Expand", ["steps", "sizes"], ["lengths"]),
        *graph("LSTM", ["w", "r", "b", "lengths"]),
    ]
    teacher = exact(tmp_path, sizes, {"x": (STEPS, FEATURES)}, stored, OUTPUTS["LSTM"])
    assert not any(block.phi.kind == "where" for block in teacher.model.blocks)


def test_each_sample_may_hold_several_sequences(tmp_path: Path) -> None:
    """As in an encoder that runs along the bands of a spectrogram."""
    nodes = [
        node("Transpose", ["x"], ["a"], perm=[2, 0, 1, 3]),
        node("Reshape", ["a", "merged"], ["t"]),
        node("GRU", ["t", "w", "r", "b"], ["y", "h"], "cell", hidden_size=HIDDEN),
    ]
    stored = weights("GRU") | {"merged": np.array([STEPS, -1, FEATURES])}
    exact(tmp_path, nodes, {"x": (2, STEPS, FEATURES)}, stored, ["y", "h"])


def test_a_file_whose_every_run_is_one_sample_may_hold_several_sequences(tmp_path: Path) -> None:
    stored = weights("LSTM")
    nodes = [node("LSTM", ["x", "w", "r", "b"], OUTPUTS["LSTM"], "cell", hidden_size=HIDDEN)]
    model = graph_of(nodes, {"x": (2, FEATURES)}, stored, OUTPUTS["LSTM"])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = STEPS
    teacher = load_teacher(saved(tmp_path, model))
    assert_exact(teacher)


FUNCTIONS = [
    ("Relu", None, None),
    ("Softsign", None, None),
    ("HardSigmoid", [0.3], [0.4]),
    ("LeakyRelu", [0.2], None),
    ("Elu", [0.7], None),
]


@pytest.mark.parametrize(("function", "alpha", "beta"), FUNCTIONS, ids=[f[0] for f in FUNCTIONS])
def test_activations_may_be_others(tmp_path: Path, function: str, alpha: Any, beta: Any) -> None:
    settings = {
        "activations": ["Sigmoid", function, "Tanh"],
        "activation_alpha": alpha,
        "activation_beta": beta,
    }
    stored = weights("LSTM")
    nodes = graph("LSTM", list(stored), **{k: v for k, v in settings.items() if v is not None})
    exact(tmp_path, nodes, {"x": (STEPS, FEATURES)}, stored, OUTPUTS["LSTM"])


def test_rows_are_shared_by_all_steps(tmp_path: Path) -> None:
    """Two layers in both directions: their parameters are counted once, however many steps there are."""
    stored = weights("LSTM", 2)
    rows = GATES["LSTM"] * HIDDEN
    stored |= {"w2": random(1, rows, 2 * HIDDEN, seed=8), "b2": random(1, 2 * rows, seed=9)}
    nodes = [
        *graph("LSTM", ["w", "r", "b"], direction="bidirectional"),
        node("Transpose", ["y"], ["s"], perm=[0, 2, 1, 3]),
        node("Reshape", ["s", "wide"], ["t2"]),
        node("LSTM", ["t2", "w2", "r1", "b2"], ["y2", "h2", "c2"], "second", hidden_size=HIDDEN),
    ]
    stored |= {"wide": np.array([0, 0, -1]), "r1": random(1, rows, HIDDEN, seed=7)}
    counts = []
    for steps in (STEPS, 2 * STEPS):
        teacher = exact(tmp_path, nodes, {"x": (steps, FEATURES)}, stored, ["h2"])
        counts.append(teacher.model.nnz)
    assert counts[0] == counts[1]
    held = sum(stored[name].size for name in ("w", "r", "w2", "r1"))
    # Both biases of a gate are one.
    assert counts[0] == held + sum(stored[name].size for name in ("b", "b2")) // 2


REFUSED = [
    ({"clip": 1.0}, "clip"),
    ({"activations": ["Affine", "Tanh", "Tanh"]}, "affine"),
    ({"input_forget": 1}, "input_forget"),
]


@pytest.mark.parametrize(("settings", "named"), REFUSED, ids=[n for _, n in REFUSED])
def test_settings_without_a_place_are_named(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    stored = weights("LSTM")
    message = refused(tmp_path, graph("LSTM", list(stored), **settings), {"x": (STEPS, FEATURES)}, stored)
    assert f"LSTM 'cell': has {'the activation ' + repr(named) if named == 'affine' else named}" in message


def test_peepholes_and_weights_that_the_network_computes_are_refused(tmp_path: Path) -> None:
    stored = weights("LSTM") | {"p": random(1, 3 * HIDDEN)}
    nodes = graph("LSTM", ["w", "r", "b", "", "", "", "p"])
    assert "has peepholes" in refused(tmp_path, nodes, {"x": (STEPS, FEATURES)}, stored)
    computed = [
        node("ReduceMean", ["x"], ["m"], axes=[0, 1, 2]),
        node("Mul", ["w", "m"], ["w2"]),
        *graph("LSTM", ["w2", "r", "b"]),
    ]
    message = refused(tmp_path, computed, {"x": (STEPS, FEATURES)}, stored)
    assert "cell" in message or "reduces all axes" in message


def test_steps_along_the_batch_axis_and_too_many_steps_are_refused(tmp_path: Path) -> None:
    stored = weights("LSTM")
    nodes = [node("LSTM", ["x", "w", "r", "b"], OUTPUTS["LSTM"], "cell", hidden_size=HIDDEN)]
    message = refused(tmp_path, nodes, {"x": (1, FEATURES)}, stored)
    assert "goes from step to step along axis 0 of [N, 1, 3], the batch axis" in message
    message = refused(tmp_path, graph("LSTM", ["w", "r", "b"]), {"x": (2000, FEATURES)}, stored)
    assert "has 2000 steps, at most 1024" in message


def test_a_text_of_length_0_tells_nothing_of_the_others(tmp_path: Path) -> None:
    """The mean over no steps is no number, and the largest entry of that is any."""
    stored = weights("GRU") | {"all": np.array([0, 1]), "low": np.full(HIDDEN, -9, np.float32)}
    nodes = [
        *graph("GRU", ["w", "r", "b", "lengths"]),
        node("ReduceSum", ["y", "all"], ["total"], keepdims=0),
        node("Cast", ["lengths"], ["count"], to=onnx.TensorProto.FLOAT),
        node("Unsqueeze", ["count", "last"], ["column"]),
        node("Div", ["total", "column"], ["mean"]),
        node("Max", ["mean", "low"], ["above"]),
        node("ArgMax", ["above"], ["label"], axis=1, keepdims=0),
    ]
    stored["last"] = np.array([1])
    model = graph_of(nodes, {"x": (STEPS, FEATURES), "lengths": ()}, stored, ["mean", "label"])
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.INT64
    teacher = load_teacher(saved(tmp_path, typed(model, {"lengths": onnx.TensorProto.INT32})))
    assert_exact(teacher, {"x": random(4, STEPS, FEATURES), "lengths": np.array([1, 5, 3, 2], np.int32)})


@pytest.mark.parametrize("operator", GATES)
@pytest.mark.parametrize("opset", [7, 9, 12, 21])
def test_recurrent_operators_of_every_operator_set_are_exact(
    tmp_path: Path, operator: str, opset: int
) -> None:
    stored = weights(operator, 2)
    nodes = graph(operator, list(stored), direction="bidirectional")
    exact(tmp_path, nodes, {"x": (STEPS, FEATURES)}, stored, OUTPUTS[operator], opset)
