"""Weights stored as whole numbers with a scale are weights: dequantised once, then as any other."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from sim_compress import Settings, compress
from sim_compress.frontend import load_teacher
from sim_compress.runtime import Session
from sim_compress.states import NetworkTeacher
from tests.frontend.graphs import (
    Arrays,
    assert_close,
    assert_exact,
    exact,
    graph_of,
    node,
    random,
    random_inputs,
    saved,
    typed,
)

WHOLE = np.random.default_rng(3).integers
# name: stored numbers, scale, zero point, axis of the scales
STORED = {
    "one scale": (np.int8, np.float32(0.02), None, None),
    "one scale and a zero point": (np.uint8, np.float32(0.02), np.uint8(120), None),
    "a scale for every row": (np.int8, np.abs(random(16, seed=7)) / 50, None, 0),
    "a scale for every column": (np.int8, np.abs(random(8, seed=7)) / 50, None, 1),
    "zero points of every column": (
        np.uint8,
        np.abs(random(8, seed=7)) / 50,
        WHOLE(0, 255, 8).astype(np.uint8),
        1,
    ),
}


def _plainly(path: Path, feed: Arrays) -> np.ndarray:
    """The output as the file says: further optimised, onnxruntime rounds activations to eight bits too."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return np.asarray(session.run(None, dict(feed))[0])


@pytest.mark.parametrize("name", STORED)
def test_dequantised_weights_are_weights(tmp_path: Path, name: str) -> None:
    dtype, scale, zero, axis = STORED[name]
    bounds = np.iinfo(dtype)
    nodes = [
        node("MatMul", ["x", "first"], ["a"], "first"),
        node("Relu", ["a"], ["r"], "relu"),
        node(
            "DequantizeLinear",
            ["stored", "scale", *(["zero"] if zero is not None else [])],
            ["w"],
            "dequantised",
            **({} if axis is None else {"axis": axis}),
        ),
        node("MatMul", ["r", "w"], ["y"], "second"),
    ]
    constants = {
        "first": random(8, 16),
        "stored": WHOLE(bounds.min, bounds.max, (16, 8)).astype(dtype),
        "scale": np.asarray(scale),
        **({} if zero is None else {"zero": np.asarray(zero)}),
    }
    teacher = load_teacher(saved(tmp_path, graph_of(nodes, {"x": (8,)}, constants)))
    for samples in (1, 3):
        feed = random_inputs(teacher, samples)
        assert_close(Session(teacher.model).predict(feed)["y"], _plainly(teacher.path, feed))
    assert teacher.model.nnz == np.count_nonzero(constants["first"]) + np.count_nonzero(
        constants["stored"] - np.int32(0 if zero is None else zero)
    )


def test_a_dequantised_convolution_and_its_bias_compress(tmp_path: Path) -> None:
    nodes = [
        node("DequantizeLinear", ["filters", "scale"], ["w"], "filters", axis=0),
        node("DequantizeLinear", ["shift", "fine"], ["b"], "shift"),
        node("Conv", ["x", "w", "b"], ["a"], "conv"),
        node("Relu", ["a"], ["r"], "relu"),
        node("Flatten", ["r"], ["f"], "flat"),
        node("Gemm", ["f", "last"], ["y"], "last"),
    ]
    constants = {
        "filters": WHOLE(-127, 127, (4, 2, 3, 3)).astype(np.int8),
        "scale": np.abs(random(4, seed=1)) / 100,
        "shift": WHOLE(-1000, 1000, 4).astype(np.int32),
        "fine": np.float32(1e-3),
        "last": random(4 * 4, 3, seed=2),
    }
    teacher = exact(tmp_path, nodes, {"x": (2, 4, 4)}, constants)
    result = compress(NetworkTeacher(teacher), random_inputs(teacher, 32), Settings(0.5, tune=0))
    assert result.sparsity == pytest.approx(0.5, abs=0.02)


def test_a_dequantised_table_of_words_is_looked_up(tmp_path: Path) -> None:
    nodes = [
        node("DequantizeLinear", ["stored", "scale"], ["table"], "table"),
        node("Gather", ["table", "ids"], ["words"], "words"),
        node("ReduceMean", ["words"], ["mean"], "mean", axes=[1], keepdims=0),
        node("MatMul", ["mean", "w"], ["y"], "last"),
    ]
    constants = {
        "stored": WHOLE(-127, 127, (11, 4)).astype(np.int8),
        "scale": np.float32(0.01),
        "w": random(4, 3),
    }
    model = typed(graph_of(nodes, {"ids": (5,)}, constants), {"ids": onnx.TensorProto.INT64})
    teacher = load_teacher(saved(tmp_path, model))
    assert_exact(teacher, {"ids": np.arange(15).reshape(3, 5) % 11})
