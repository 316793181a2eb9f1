"""Samples that share an axis with steps, windows or a batch of one are placed, and come back."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sim_compress.frontend import load_teacher
from sim_compress.runtime import Session
from tests.frontend.graphs import (
    assert_close,
    exact,
    graph_of,
    node,
    random,
    random_inputs,
    run_in_batches,
    saved,
)

STEPS, FEATURES = 3, 4
# Activations between a shared layer and the reshape back, with their attributes.
ACTIVATIONS: dict[str, dict[str, Any]] = {
    "Relu": {},
    "PRelu": {},
    "Celu": {"alpha": 0.7},
    "Elu": {},
    "LeakyRelu": {"alpha": 0.2},
    "Selu": {},
    "Sigmoid": {},
    "Tanh": {},
    "Softplus": {},
    "HardSigmoid": {},
    "ThresholdedRelu": {},
    "Softmax": {"axis": -1},
}


@pytest.mark.parametrize("operator", ACTIVATIONS)
def test_a_layer_that_all_steps_share_is_exact_with_any_activation(tmp_path: Path, operator: str) -> None:
    slopes = operator == "PRelu"
    inputs = ["a", "slopes"] if slopes else ["a"]
    nodes = [
        node("Reshape", ["x", "merged"], ["m"], "merge"),
        node("Gemm", ["m", "v", "b"], ["a"], "shared"),
        node(operator, inputs, ["p"], "activation", **ACTIVATIONS[operator]),
        node("Reshape", ["p", "apart"], ["s"], "split"),
        node("Flatten", ["s"], ["f"], "flat"),
        node("MatMul", ["f", "w"], ["y"], "head"),
    ]
    constants = {
        "merged": np.array([-1, FEATURES]),
        "v": random(FEATURES, FEATURES),
        "b": random(FEATURES, seed=1),
        "apart": np.array([-1, STEPS, FEATURES]),
        "w": random(STEPS * FEATURES, 5, seed=2),
        **({"slopes": random(FEATURES, seed=3)} if slopes else {}),
    }
    exact(tmp_path, nodes, {"x": (STEPS, FEATURES)}, constants)


def _assert_freed(folder: Path, model: onnx.ModelProto, size: int) -> None:
    """The model gives for any number of samples what the file gives for its own."""
    teacher = load_teacher(saved(folder, model))
    for batches in (1, 3, 8):
        feed = random_inputs(teacher, batches * size)
        found = Session(teacher.model).predict(feed)
        for name, value in run_in_batches(teacher.path, feed, size).items():
            assert_close(found[name], value)


@pytest.mark.parametrize("target", [[1, 64], [1, -1], [-1, 64]])
def test_a_batch_of_one_that_is_written_into_a_reshape_is_free(tmp_path: Path, target: list[int]) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["a"], "conv", pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"], "relu"),
        node("Reshape", ["b", "s"], ["c"], "flat"),
        node("Gemm", ["c", "v"], ["y"], "last"),
    ]
    constants = {"w": random(4, 2, 3, 3), "s": np.array(target), "v": random(64, 3, seed=1)}
    model = graph_of(nodes, {"x": (2, 4, 4)}, constants)
    # The shape inferred for the output is that of one sample.
    model.graph.output[0].type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    _assert_freed(tmp_path, model, 1)


def _windows(target: Mapping[str, list[int]]) -> onnx.ModelProto:
    """A 4x4 image of 3 features, two by two windows of 2x2, attention's products within each, and back."""
    nodes = [
        node("Reshape", ["x", "split"], ["p"], "partition"),
        node("Transpose", ["p"], ["t"], "gather", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", ["t", "merged"], ["w"], "windows"),
        node("MatMul", ["w", "v"], ["q"], "queries"),
        node("Transpose", ["w"], ["k"], "keys", perm=[0, 2, 1]),
        node("MatMul", ["q", "k"], ["s"], "scores"),
        node("Reshape", ["s", "by_window"], ["g"], "by_window"),
        node("Add", ["g", "mask"], ["h"], "mask"),
        node("Reshape", ["h", "together"], ["u"], "together"),
        node("Softmax", ["u"], ["a"], "softmax", axis=-1),
        node("MatMul", ["a", "w"], ["o"], "mixed"),
        node("Reshape", ["o", "apart"], ["r"], "apart"),
        node("Transpose", ["r"], ["b"], "back", perm=[0, 1, 3, 2, 4, 5]),
        node("Reshape", ["b", "image"], ["i"], "image"),
        node("MatMul", ["i", "z"], ["y"], "last"),
    ]
    mask = np.where(random(1, 4, 4, 4, seed=5) > 0, np.float32(-100), np.float32(0))
    constants = {"v": random(3, 3), "z": random(3, 2, seed=1), "mask": mask}
    constants |= {name: np.array(shape) for name, shape in target.items()}
    model = graph_of(nodes, {"x": (4, 4, 3)}, constants)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return model


def _targets(batch: int) -> dict[str, list[int]]:
    """Shapes of the windows of a batch, -1 for any."""
    merged = 4 * batch if batch > 0 else -1
    return {
        "split": [batch, 2, 2, 2, 2, 3],
        "merged": [merged, 4, 3],
        "by_window": [batch, 4, 4, 4],
        "together": [merged, 4, 4],
        "apart": [batch, 2, 2, 2, 2, 3],
        "image": [batch, 4, 4, 3],
    }


@pytest.mark.parametrize("batch", [-1, 1, 2, 4])
def test_windows_that_share_the_axis_of_the_samples_are_exact(tmp_path: Path, batch: int) -> None:
    """A batch of 4 is as large as the number of windows."""
    model = _windows(_targets(batch))
    if batch > 0:
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    _assert_freed(tmp_path, model, max(batch, 1))


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_heads_behind_the_samples_of_a_fixed_batch_are_exact(tmp_path: Path, batch: int) -> None:
    """Steps first, then samples and heads in one axis, as nn.MultiheadAttention is exported."""
    steps, heads, size = 5, 2, 3
    nodes = [
        node("Transpose", ["x"], ["t"], "steps", perm=[1, 0, 2]),
        node("MatMul", ["t", "q"], ["a"], "queries"),
        node("Reshape", ["a", "merged"], ["m"], "merged"),
        node("Transpose", ["m"], ["h"], "heads", perm=[1, 0, 2]),
        node("Transpose", ["m"], ["k"], "keys", perm=[1, 2, 0]),
        node("MatMul", ["h", "k"], ["s"], "scores"),
        node("Softmax", ["s"], ["w"], "softmax", axis=-1),
        node("MatMul", ["w", "h"], ["o"], "mixed"),
        node("Transpose", ["o"], ["b"], "back", perm=[1, 0, 2]),
        node("Reshape", ["b", "flat"], ["f"], "flat"),
        node("Gemm", ["f", "z"], ["g"], "out"),
        node("Reshape", ["g", "apart"], ["r"], "apart"),
        node("Transpose", ["r"], ["y"], "samples", perm=[1, 0, 2]),
    ]
    features = heads * size
    constants = {
        "q": random(features, features),
        "z": random(features, features, seed=1),
        "merged": np.array([steps, batch * heads, size]),
        "flat": np.array([steps * batch, features]),
        "apart": np.array([steps, batch, features]),
    }
    model = graph_of(nodes, {"x": (steps, features)}, constants)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    model.graph.output[0].type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    _assert_freed(tmp_path, model, batch)
