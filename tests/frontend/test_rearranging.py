"""Rearrangements equal onnxruntime's in old and new operator sets, and leave the batch axis alone."""

from pathlib import Path

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
    random_inputs,
    refused,
    run,
    saved,
)


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


MOVED = {
    "[(N 4), 3]": node("Reshape", ["x", "merge"], ["y"]),
    "[1, (N 12)]": node("Flatten", ["x"], ["y"], axis=0),
    "[(N 4), 3] by Flatten": node("Flatten", ["x"], ["y"], axis=2),
    "[1, N, 4, 3]": node("Unsqueeze", ["x", "zero"], ["y"]),
    "[4, N, 3]": node("Transpose", ["x"], ["y"], perm=[1, 0, 2]),
    "[3, 4, N]": node("Transpose", ["x"], ["y"]),
}


@pytest.mark.parametrize(("place", "moving"), MOVED.items(), ids=MOVED)
def test_a_result_whose_samples_were_moved_has_them_first(
    tmp_path: Path, place: str, moving: onnx.NodeProto
) -> None:
    constants = {"merge": _integers(-1, 3), "zero": _integers(0)}
    used = {k: v for k, v in constants.items() if k in moving.input}
    teacher = exact(tmp_path, [moving], {"x": (4, 3)}, used)
    place = place.partition(" by")[0]
    assert teacher.notes == (f"the file has the samples of output 'y' as {place}; here they come first",)


def test_an_axis_of_one_leaves_and_the_samples_stay(tmp_path: Path) -> None:
    """A run of one sample drops its batch axis too; the model keeps it."""
    teacher = load_teacher(saved(tmp_path, graph_of([node("Squeeze", ["x"], ["y"])], {"x": (4, 1, 3)})))
    for samples in (1, 3):
        feed = random_inputs(teacher, samples)
        expected = run(teacher.path, feed)["y"].reshape(samples, 4, 3)
        assert_close(Session(teacher.model).predict(feed)["y"], expected)


def test_a_file_that_drops_an_open_batch_axis_takes_one_sample_at_a_time(tmp_path: Path) -> None:
    nodes = [node("Squeeze", ["x", "zero"], ["s"]), node("Relu", ["s"], ["y"])]
    teacher = exact(tmp_path, nodes, {"x": (4, 3)}, {"zero": _integers(0)})
    assert "the file leaves its batch open, and computes one sample at a time" in teacher.notes


REFUSED = {
    "has no place for the batch axis of [N, 4, 3]": node("Reshape", ["x", "fixed"], ["y"]),
    "mixes the batch axis of [N, 4, 3] with others": node("Reshape", ["x", "mixed"], ["y"]),
}


@pytest.mark.parametrize(("reason", "culprit"), REFUSED.items(), ids=REFUSED)
def test_rearrangements_of_the_batch_axis_are_refused_by_name(
    tmp_path: Path, reason: str, culprit: onnx.NodeProto
) -> None:
    culprit.name = "culprit"
    constants = {"mixed": _integers(4, -1, 3), "fixed": _integers(2, 12)}
    used = {k: v for k, v in constants.items() if k in culprit.input}
    message = refused(tmp_path, [culprit], {"x": (4, 3)}, used)
    assert f"{culprit.op_type} 'culprit': " in message
    assert reason in message
