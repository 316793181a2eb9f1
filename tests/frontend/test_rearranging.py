"""Rearrangements equal onnxruntime's in old and new operator sets, and leave the batch axis alone."""

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.graphs import exact, node, random, refused


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


SLICES = {
    "one axis": ((1,), (3,), (2,), (1,)),
    "negative bounds": ((-4, -2), (-1, 2**62), (2, 1), (1, 1)),
    "steps": ((0, 1), (9, 5), (1, 2), (2, 3)),
    "backwards": ((-1, 4), (-(2**62), 0), (1, 2), (-1, -2)),
    "whole batch": ((0, 1), (2**62, 2), (0, 1), (1, 1)),
}


@pytest.mark.parametrize("case", SLICES.values(), ids=SLICES)
def test_slices_are_exact(tmp_path: Path, case: tuple) -> None:
    constants = dict(zip("seat", (_integers(*c) for c in case), strict=True))
    exact(tmp_path, [node("Slice", ["x", *"seat"], ["y"])], {"x": (4, 6)}, constants)


def test_slices_of_old_operator_sets_are_exact(tmp_path: Path) -> None:
    exact(
        tmp_path,
        [node("Slice", ["x"], ["y"], starts=[1, -3], ends=[3, 9], axes=[1, 2])],
        {"x": (4, 6)},
        opset=9,
    )


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_splits_are_exact(tmp_path: Path, opset: int) -> None:
    nodes = [
        node("Split", ["x"], ["a", "b", "c"], "split", axis=-1, **({"num_outputs": 3} if opset > 13 else {})),
        node("Sub", ["a", "c"], ["y"]),
    ]
    exact(tmp_path, nodes, {"x": (2, 6)}, outputs=["y", "b"], opset=opset)


@pytest.mark.parametrize("opset", [11, 13])
def test_splits_into_given_sizes_are_exact(tmp_path: Path, opset: int) -> None:
    if opset < 13:
        nodes, constants = [node("Split", ["x"], ["a", "b"], axis=1, split=[1, 4])], {}
    else:
        nodes, constants = [node("Split", ["x", "s"], ["a", "b"], axis=1)], {"s": _integers(1, 4)}
    exact(tmp_path, nodes, {"x": (5, 2)}, constants, outputs=["b", "a"], opset=opset)


def test_zero_padding_is_exact_with_pads_as_attribute_and_as_input(tmp_path: Path) -> None:
    pads = (0, 0, 1, 2, 0, 3, 0, 1)
    shape = {"x": (2, 3, 4)}
    exact(tmp_path, [node("Pad", ["x"], ["y"], pads=pads)], shape, opset=10)
    exact(tmp_path, [node("Pad", ["x", "p"], ["y"])], shape, {"p": _integers(*pads)}, opset=13)
    constants = {"p": _integers(1, 2, 0, 3), "v": np.float32(0), "a": _integers(-1, 1)}
    exact(tmp_path, [node("Pad", ["x", "p", "v", "a"], ["y"])], shape, constants, opset=18)


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenation_is_exact_also_of_sums_and_products(tmp_path: Path, axis: int) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["m"], "product"),
        node("Add", ["x", "u"], ["s"]),
        node("Concat", ["s", "m", "x"], ["y"], axis=axis),
    ]
    teacher = exact(tmp_path, nodes, {"x": (4, 4), "u": (4, 4)}, {"w": random(4, 4)})
    assert [b.name for b in teacher.model.blocks] == ["product"]


def test_a_concatenation_before_a_weight_makes_an_identity_block(tmp_path: Path) -> None:
    nodes = [node("Concat", ["x", "u"], ["c"], "joined", axis=1), node("MatMul", ["c", "w"], ["y"])]
    teacher = exact(tmp_path, nodes, {"x": (2,), "u": (3,)}, {"w": random(5, 4)})
    assert [b.name for b in teacher.model.blocks] == ["joined"]


def test_identity_and_dropout_do_nothing(tmp_path: Path) -> None:
    nodes = [node("Identity", ["x"], ["a"]), node("Dropout", ["a"], ["b"]), node("Relu", ["b"], ["y"])]
    exact(tmp_path, nodes, {"x": (3,)})
    exact(tmp_path, [node("Identity", ["x"], ["y"])], {"x": (3,)})


REFUSED = {
    "merges features": [node("Reshape", ["x", "merge"], ["y"])],
    "fixed batch": [node("Reshape", ["x", "fixed"], ["y"])],
    "flat batch": [node("Flatten", ["x"], ["y"], axis=0)],
    "flat features": [node("Flatten", ["x"], ["y"], axis=2)],
    "squeezed batch": [node("Squeeze", ["x"], ["y"])],
    "new first axis": [node("Unsqueeze", ["x", "zero"], ["y"])],
    "moved batch": [node("Transpose", ["x"], ["y"], perm=[1, 0, 2])],
    "reversed axes": [node("Transpose", ["x"], ["y"])],
    "cut batch": [node("Slice", ["x", "zero", "one"], ["y"])],
    "split batch": [node("Split", ["x"], ["y", "z"], axis=0)],
    "joined batch": [node("Concat", ["x", "x"], ["y"], axis=0)],
    "padded batch": [node("Pad", ["x", "pads"], ["y"])],
}


@pytest.mark.parametrize("nodes", REFUSED.values(), ids=REFUSED)
def test_rearrangements_of_the_batch_axis_are_refused_by_name(tmp_path: Path, nodes: list) -> None:
    nodes[0].name = "culprit"
    constants = {
        "merge": _integers(-1, 3),
        "fixed": _integers(2, 12),
        "zero": _integers(0),
        "one": _integers(1),
        "pads": _integers(1, 0, 0, 0, 0, 0),
    }
    used = {name for n in nodes for name in n.input}
    message = refused(tmp_path, nodes, {"x": (4, 3)}, {k: v for k, v in constants.items() if k in used})
    assert f"{nodes[0].op_type} 'culprit'" in message
    assert "batch" in message


@pytest.mark.parametrize(
    ("mode", "constants"),
    [("reflect", {}), ("constant", {"v": np.float32(2)}), ("edge", {})],
)
def test_padding_with_something_else_than_zeros_is_refused(
    tmp_path: Path, mode: str, constants: dict
) -> None:
    nodes = [node("Pad", ["x", "p", *constants], ["y"], "pad", mode=mode)]
    constants = {"p": _integers(0, 1, 0, 1), **constants}
    assert "other than zeros" in refused(tmp_path, nodes, {"x": (4,)}, constants)


def test_a_slice_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    constants = {"s": _integers(3), "e": _integers(2), "a": _integers(1)}
    nodes = [node("Slice", ["x", *"sea"], ["y"])]
    assert "nothing" in refused(tmp_path, nodes, {"x": (4,)}, constants)
