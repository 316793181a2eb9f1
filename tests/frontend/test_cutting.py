"""Slices, splits, padding and concatenation equal onnxruntime's in old and new operator sets."""

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.graphs import exact, node, random, refused


def _integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


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


@pytest.mark.parametrize("end", [10**9, 2**31 - 1, 2**63 - 1])
def test_a_slice_of_the_whole_batch_is_none(tmp_path: Path, end: int) -> None:
    constants = {"starts": np.array([0, 1]), "ends": np.array([end, 3]), "axes": np.array([0, 1])}
    exact(tmp_path, [node("Slice", ["x", *constants], ["y"])], {"x": (4, 6)}, constants)


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


def test_rows_on_a_concatenation_read_its_parts(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], ["a"], "a"),
        node("Concat", ["a", "u"], ["c"], axis=1),
        node("Conv", ["c", "w"], ["z"], pads=[1, 1, 1, 1]),
        node("Relu", ["z"], ["y"], "b"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (2, 5, 5), "u": (3, 5, 5)}, {"w": random(4, 5, 3, 3)})
    assert [b.name for b in teacher.model.blocks] == ["a", "b"]
    terms = teacher.model.blocks[-1].affine.terms
    assert [t.source for t in terms] == ["a", "u"]
    assert [t.weight.shape for t in terms if t.weight is not None] == [(4, 18), (4, 27)]


@pytest.mark.parametrize(
    ("operator", "axis", "weight"), [("Gemm", 1, (5, 4)), ("MatMul", 1, (5, 4)), ("MatMul", -1, (5, 4))]
)
def test_products_on_a_concatenation_read_its_parts(
    tmp_path: Path, operator: str, axis: int, weight: tuple[int, ...]
) -> None:
    nodes = [node("Concat", ["x", "u"], ["c"], axis=axis), node(operator, ["c", "w"], ["y"])]
    teacher = exact(tmp_path, nodes, {"x": (2,), "u": (3,)}, {"w": random(*weight)})
    assert teacher.model.blocks == ()
    assert teacher.model.nnz == 20


@pytest.mark.parametrize("axis", [1, 2])
def test_tokens_joined_across_the_rows_make_an_identity_block(tmp_path: Path, axis: int) -> None:
    nodes = [node("Concat", ["x", "u"], ["c"], "joined", axis=axis), node("MatMul", ["w", "c"], ["y"])]
    shapes = {"x": (2, 4), "u": (3, 4)} if axis == 1 else {"x": (5, 1), "u": (5, 4)}
    teacher = exact(tmp_path, nodes, shapes, {"w": random(4, 5)})
    assert [b.name for b in teacher.model.blocks] == ([] if axis == 1 else ["joined"])


def test_rows_on_a_concatenation_of_sums_make_an_identity_block(tmp_path: Path) -> None:
    nodes = [
        node("Add", ["x", "u"], ["s"]),
        node("Concat", ["s", "x"], ["c"], "joined", axis=1),
        node("MatMul", ["c", "w"], ["y"]),
    ]
    teacher = exact(tmp_path, nodes, {"x": (2,), "u": (2,)}, {"w": random(4, 4)})
    assert [b.name for b in teacher.model.blocks] == ["joined"]
    assert teacher.model.nnz == 16


def test_grouped_rows_on_a_concatenation_make_an_identity_block(tmp_path: Path) -> None:
    nodes = [
        node("Concat", ["x", "u"], ["c"], "joined", axis=1),
        node("Conv", ["c", "w"], ["y"], group=2),
    ]
    teacher = exact(tmp_path, nodes, {"x": (2, 6), "u": (4, 6)}, {"w": random(4, 3, 3)})
    assert [b.name for b in teacher.model.blocks] == ["joined"]


MODES = ["constant", "reflect", "edge", "wrap"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pads", [(0, 0, 1, 2, 0, 0, 3, 1), (0, 0, -1, 2, 0, 1, 0, -2)], ids=str)
def test_padding_is_exact_in_every_mode(tmp_path: Path, mode: str, pads: tuple[int, ...]) -> None:
    constants = {"p": _integers(*pads)}
    if mode == "constant":
        constants["v"] = np.array(-1.5, np.float32)
    exact(tmp_path, [node("Pad", ["x", *constants], ["y"], mode=mode)], {"x": (2, 5, 6)}, constants, opset=19)


REFUSED = {
    "cut batch": [node("Slice", ["x", "zero", "one"], ["y"])],
    "split batch": [node("Split", ["x"], ["y", "z"], axis=0)],
    "joined batch": [node("Concat", ["x", "x"], ["y"], axis=0)],
    "padded batch": [node("Pad", ["x", "pads"], ["y"])],
    "constant without batch": [node("Concat", ["x", "matrix"], ["y"], axis=1)],
}


@pytest.mark.parametrize("nodes", REFUSED.values(), ids=REFUSED)
def test_cuts_of_the_batch_axis_are_refused_by_name(tmp_path: Path, nodes: list) -> None:
    nodes[0].name = "culprit"
    constants = {
        "zero": _integers(0),
        "one": _integers(1),
        "pads": _integers(1, 0, 0, 0, 0, 0),
        "matrix": random(2, 4, 3),
    }
    used = {name for n in nodes for name in n.input}
    message = refused(tmp_path, nodes, {"x": (4, 3)}, {k: v for k, v in constants.items() if k in used})
    assert f"{nodes[0].op_type} 'culprit'" in message
    assert "batch" in message


def test_a_slice_that_leaves_nothing_is_refused(tmp_path: Path) -> None:
    constants = {"s": _integers(3), "e": _integers(2), "a": _integers(1)}
    nodes = [node("Slice", ["x", *"sea"], ["y"])]
    assert "output 'y': does not depend on any input" in refused(tmp_path, nodes, {"x": (4,)}, constants)


def test_padding_by_several_values_is_refused(tmp_path: Path) -> None:
    constants = {"p": _integers(0, 1, 0, 1), "v": random(3)}
    nodes = [node("Pad", ["x", "p", "v"], ["y"])]
    assert "pads with 3 values, expected one" in refused(tmp_path, nodes, {"x": (4,)}, constants)
