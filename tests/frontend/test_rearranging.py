"""Rearrangements equal onnxruntime's in old and new operator sets, and leave the batch axis alone."""

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.graphs import exact, node, refused


def _integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


@pytest.mark.parametrize("target", [(0, -1), (-1, 60), (0, 0, 20), (-1, 4, 15), (0, 5, -1, 2)], ids=str)
def test_reshape_is_exact(tmp_path: Path, target: tuple[int, ...]) -> None:
    exact(tmp_path, [node("Reshape", ["x", "t"], ["y"])], {"x": (3, 4, 5)}, {"t": _integers(*target)})


@pytest.mark.parametrize(("axis", "shape"), [(1, (3, 4)), (-2, (3, 4)), (2, (1, 4)), (1, (4,))])
def test_flatten_is_exact(tmp_path: Path, axis: int, shape: tuple[int, ...]) -> None:
    exact(tmp_path, [node("Flatten", ["x"], ["y"], axis=axis)], {"x": shape})


@pytest.mark.parametrize("opset", [12, 13])
@pytest.mark.parametrize(("operator", "axes"), [("Squeeze", (1, -1)), ("Unsqueeze", (1, 3, -1))])
def test_squeeze_and_unsqueeze_are_exact_with_axes_as_attribute_and_as_input(
    tmp_path: Path, opset: int, operator: str, axes: tuple[int, ...]
) -> None:
    if opset < 13:
        nodes, constants = [node(operator, ["x"], ["y"], axes=axes)], {}
    else:
        nodes, constants = [node(operator, ["x", "a"], ["y"])], {"a": _integers(*axes)}
    exact(tmp_path, nodes, {"x": (1, 3, 1)}, constants, opset=opset)


@pytest.mark.parametrize("order", [(0, 1, 3, 2), (0, 3, 1, 2)], ids=str)
def test_transpose_is_exact(tmp_path: Path, order: tuple[int, ...]) -> None:
    exact(tmp_path, [node("Transpose", ["x"], ["y"], perm=order)], {"x": (2, 3, 4)})


def test_identity_and_dropout_do_nothing(tmp_path: Path) -> None:
    nodes = [node("Identity", ["x"], ["a"]), node("Dropout", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
    exact(tmp_path, nodes, {"x": (3,)})
    exact(tmp_path, [node("Identity", ["x"], ["y"])], {"x": (3,)})


@pytest.mark.parametrize("mode", [{}, {"mode": "DCR"}, {"mode": "CRD"}], ids=str)
def test_depth_to_space_is_exact(tmp_path: Path, mode: dict) -> None:
    exact(tmp_path, [node("DepthToSpace", ["x"], ["y"], blocksize=2, **mode)], {"x": (12, 2, 3)})


def test_space_to_depth_is_exact(tmp_path: Path) -> None:
    exact(tmp_path, [node("SpaceToDepth", ["x"], ["y"], blocksize=2)], {"x": (3, 4, 6)})


REFUSED = {
    "merges features": [node("Reshape", ["x", "merge"], ["y"])],
    "fixed batch": [node("Reshape", ["x", "fixed"], ["y"])],
    "flat batch": [node("Flatten", ["x"], ["y"], axis=0)],
    "flat features": [node("Flatten", ["x"], ["y"], axis=2)],
    "squeezed batch": [node("Squeeze", ["x"], ["y"])],
    "new first axis": [node("Unsqueeze", ["x", "zero"], ["y"])],
    "moved batch": [node("Transpose", ["x"], ["y"], perm=[1, 0, 2])],
    "reversed axes": [node("Transpose", ["x"], ["y"])],
}


@pytest.mark.parametrize("nodes", REFUSED.values(), ids=REFUSED)
def test_rearrangements_of_the_batch_axis_are_refused_by_name(tmp_path: Path, nodes: list) -> None:
    nodes[0].name = "culprit"
    constants = {"merge": _integers(-1, 3), "fixed": _integers(2, 12), "zero": _integers(0)}
    used = {name for n in nodes for name in n.input}
    message = refused(tmp_path, nodes, {"x": (4, 3)}, {k: v for k, v in constants.items() if k in used})
    assert f"{nodes[0].op_type} 'culprit'" in message
    assert "batch" in message
