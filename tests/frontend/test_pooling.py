"""Pooling and reductions equal onnxruntime's for every attribute and operator set."""

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.graphs import exact, node, refused

WINDOWS = {
    "plain": {"kernel_shape": [2, 3]},
    "strides": {"kernel_shape": [2, 2], "strides": [2, 3]},
    "pads": {"kernel_shape": [3, 3], "pads": [1, 0, 2, 1]},
    "ceil": {"kernel_shape": [3, 2], "strides": [2, 3], "ceil_mode": 1},
    "ceil with pads": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1},
    "last window in the padding": {
        "kernel_shape": [2, 2],
        "strides": [3, 3],
        "pads": [1, 1, 1, 1],
        "ceil_mode": 1,
    },
    "same upper": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    "same lower": {"kernel_shape": [3, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    "valid": {"kernel_shape": [3, 2], "auto_pad": "VALID"},
}
SHAPES = [(2, 7, 8), (2, 6, 9)]


@pytest.mark.parametrize("attributes", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("opset", [12, 22])
def test_max_pooling_is_exact_for_every_attribute(
    tmp_path: Path, attributes: dict, shape: tuple[int, ...], opset: int
) -> None:
    teacher = exact(
        tmp_path, [node("MaxPool", ["x"], ["y"], "pool", **attributes)], {"x": shape}, opset=opset
    )
    assert [(b.name, b.phi.name) for b in teacher.model.blocks] == [("pool", "max_pool")]


def test_max_pooling_takes_dilations(tmp_path: Path) -> None:
    nodes = [node("MaxPool", ["x"], ["y"], kernel_shape=[2, 3], dilations=[2, 1], pads=[1, 1, 0, 0])]
    exact(tmp_path, nodes, {"x": (2, 7, 8)})


@pytest.mark.parametrize("attributes", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("opset", [12, 22])
def test_average_pooling_is_exact_for_every_attribute(
    tmp_path: Path, attributes: dict, shape: tuple[int, ...], include: int, opset: int
) -> None:
    nodes = [node("AveragePool", ["x"], ["y"], count_include_pad=include, **attributes)]
    assert exact(tmp_path, nodes, {"x": shape}, opset=opset).model.blocks == ()


@pytest.mark.parametrize("include", [0, 1])
def test_average_pooling_takes_dilations(tmp_path: Path, include: int) -> None:
    nodes = [
        node(
            "AveragePool",
            ["x"],
            ["y"],
            kernel_shape=[2, 3],
            dilations=[2, 1],
            pads=[1, 1, 0, 0],
            count_include_pad=include,
        )
    ]
    exact(tmp_path, nodes, {"x": (2, 7, 8)}, opset=19)


@pytest.mark.parametrize("operator", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize("shape", [(2, 9), (2, 5, 4, 6)], ids=str)
def test_pooling_is_exact_in_one_and_three_dimensions(
    tmp_path: Path, operator: str, shape: tuple[int, ...]
) -> None:
    nodes = [node(operator, ["x"], ["y"], kernel_shape=[2] * (len(shape) - 1))]
    exact(tmp_path, nodes, {"x": shape})


@pytest.mark.parametrize("operator", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [(2, 9), (2, 5, 4), (2, 3, 4, 2)], ids=str)
def test_global_pooling_is_exact(tmp_path: Path, operator: str, shape: tuple[int, ...]) -> None:
    exact(tmp_path, [node(operator, ["x"], ["y"])], {"x": shape})


@pytest.mark.parametrize("axes", [[1], [-1], [2, 3], [3, -3]], ids=str)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize(
    ("operator", "opset"), [("ReduceMean", 13), ("ReduceMean", 18), ("ReduceSum", 11), ("ReduceSum", 13)]
)
def test_reductions_are_exact_with_axes_as_attribute_and_as_input(
    tmp_path: Path, axes: list[int], keepdims: int, operator: str, opset: int
) -> None:
    as_input = opset >= (18 if operator == "ReduceMean" else 13)
    if as_input:
        nodes = [node(operator, ["x", "axes"], ["y"], keepdims=keepdims)]
    else:
        nodes = [node(operator, ["x"], ["y"], axes=axes, keepdims=keepdims)]
    constants = {"axes": np.array(axes, np.int64)} if as_input else {}
    exact(tmp_path, nodes, {"x": (3, 4, 5)}, constants, opset=opset)


@pytest.mark.parametrize("axes", [[0], [1, -3], None], ids=str)
def test_reductions_along_the_batch_axis_are_refused(tmp_path: Path, axes: list[int] | None) -> None:
    settings = {} if axes is None else {"axes": axes}
    nodes = [node("ReduceMean", ["x"], ["y"], "mean", **settings)]
    assert "batch axis" in refused(tmp_path, nodes, {"x": (3, 4)}, opset=13)


def test_max_pooling_whose_indices_are_read_is_refused(tmp_path: Path) -> None:
    nodes = [
        node("MaxPool", ["x"], ["p", "i"], "pool", kernel_shape=[2, 2]),
        node("RandomNormalLike", ["i"], ["f"], "noise", dtype=1),
        node("Add", ["p", "f"], ["y"]),
    ]
    message = refused(tmp_path, nodes, {"x": (2, 4, 4)})
    assert "MaxPool 'pool': its output 'i' is read" in message
    assert "RandomNormalLike 'noise'" in message
