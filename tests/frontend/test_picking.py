"""Picked, repeated and running sums of entries equal onnxruntime's."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress.model import AlongAxis, Slice
from tests.frontend.graphs import exact, node, random, refused

INDICES = {
    "one": (2, Slice),
    "one kept": ([2], Slice),
    "in steps": ([0, 2, 4], Slice),
    "backwards": ([3, 2, 1], Slice),
    "from the end": ([-1, 0, -2, 0], AlongAxis),
    "a table": ([[0, 3], [1, 1]], AlongAxis),
}


@pytest.mark.parametrize("case", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("axis", [1, -1])
def test_gathers_with_constant_indices_are_exact(tmp_path: Path, case: tuple, axis: int) -> None:
    indices, kind = case
    nodes = [node("Gather", ["x", "i"], ["y"], axis=axis)]
    teacher = exact(tmp_path, nodes, {"x": (5, 5)}, {"i": np.array(indices)})
    assert type(teacher.model.outputs[0].affine.terms[0].maps[0]) is kind


def test_compressed_entries_are_exact(tmp_path: Path) -> None:
    keep = np.array([True, False, False, True, True])
    exact(tmp_path, [node("Compress", ["x", "c"], ["y"], axis=2)], {"x": (2, 5)}, {"c": keep})


@pytest.mark.parametrize("target", [(1, 3, 4, 5), (4, 1), (5,), (1, 1, 1, 1), (3, 1, 5)], ids=str)
def test_expanded_axes_are_exact(tmp_path: Path, target: tuple[int, ...]) -> None:
    exact(tmp_path, [node("Expand", ["x", "t"], ["y"])], {"x": (3, 1, 5)}, {"t": np.array(target)})


def test_tiles_are_exact(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Tile", ["m", "r"], ["y"])]
    exact(tmp_path, nodes, {"x": (2, 3)}, {"w": random(3, 3), "r": np.array([1, 3, 2])})


@pytest.mark.parametrize("exclusive", [0, 1])
@pytest.mark.parametrize("reverse", [0, 1])
def test_running_sums_are_exact(tmp_path: Path, exclusive: int, reverse: int) -> None:
    nodes = [node("CumSum", ["x", "a"], ["y"], exclusive=exclusive, reverse=reverse)]
    exact(tmp_path, nodes, {"x": (4, 3)}, {"a": np.array(-2)})


REFUSED = {
    "looks up entries along the axis of [N, 4, 3] that is the batch axis": node(
        "Gather", ["x", "zero"], ["y"]
    ),
    "flattens [N, 4, 3], the batch axis with it": node("Compress", ["x", "yes"], ["y"]),
    "stretches axis 0 of [N, 4, 3], the batch axis, to 4": node("Expand", ["x", "shape"], ["y"]),
    "repeats axis 0 of [N, 4, 3], the batch axis": node("Tile", ["x", "repeats"], ["y"]),
    "acts along axis 0 of [N, 4, 3], the batch axis": node("CumSum", ["x", "zero"], ["y"]),
}


@pytest.mark.parametrize(("reason", "culprit"), REFUSED.items(), ids=REFUSED)
def test_samples_are_neither_picked_nor_repeated(
    tmp_path: Path, reason: str, culprit: onnx.NodeProto
) -> None:
    constants = {
        "zero": np.array(0),
        "yes": np.array([True]),
        "shape": np.array([4, 1, 1]),
        "repeats": np.array([2, 1, 1]),
    }
    used = {k: v for k, v in constants.items() if k in culprit.input}
    assert reason in refused(tmp_path, [culprit], {"x": (4, 3)}, used)


def test_computed_indices_and_ones_outside_are_refused(tmp_path: Path) -> None:
    nodes = [node("Cast", ["x"], ["i"], to=7), node("Gather", ["x", "i"], ["y"])]
    assert "Gather" in refused(tmp_path, nodes, {"x": (4,)})


@pytest.mark.parametrize("shift", [0, 5], ids=["from the first", "from the end"])
def test_entries_of_each_sample_by_several_numbers_are_exact(shift: int, tmp_path: Path) -> None:
    nodes = [
        node("ArgMax", ["scores"], ["found"], axis=1, keepdims=0),
        node("Sub", ["found", "shift"], ["last"]),
        node("Unsqueeze", ["last", "minus"], ["places"]),
        node("GatherND", ["x", "places"], ["y"], batch_dims=1),
    ]
    constants = {"shift": np.array(shift), "minus": np.array([-1])}
    exact(tmp_path, nodes, {"x": (5, 3), "scores": (5, 2)}, constants)
