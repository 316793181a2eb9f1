"""Sums, scales and batch norms equal onnxruntime's, folded into weights where there are any."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.model import ImplicitModel
from tests.frontend.graphs import assert_close, exact, node, random, refused

CONSTANTS = [(), (1,), (3, 1, 1), (1, 3, 1, 1), (5, 4), (3, 5, 4)]


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", CONSTANTS, ids=str)
@pytest.mark.parametrize("first", [False, True])
def test_an_input_is_combined_with_a_constant_exactly(
    tmp_path: Path, operator: str, shape: tuple[int, ...], first: bool
) -> None:
    constants = {"c": np.asarray(random(*shape))}
    names = ["c", "x"] if first else ["x", "c"]
    teacher = exact(tmp_path, [node(operator, names, ["y"])], {"x": (3, 5, 4)}, constants)
    assert len(teacher.model.blocks) == int(operator == "Div" and first)


def _conv_then(operator: str, names: list[str]) -> list:
    return [
        node("Conv", ["x", "w"], ["c"], "conv"),
        node(operator, names, ["z"], "combined"),
        node("Relu", ["z"], ["y"], "relu"),
    ]


def _names(model: ImplicitModel) -> list[str]:
    return [b.name for b in model.blocks]


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("shape", [(), (4, 1, 1), (1, 4, 1, 1)], ids=str)
def test_a_constant_along_the_rows_is_folded_into_the_rows(
    tmp_path: Path, operator: str, shape: tuple[int, ...]
) -> None:
    constants = {"w": random(4, 3, 1, 1), "k": np.asarray(random(*shape))}
    teacher = exact(tmp_path, _conv_then(operator, ["c", "k"]), {"x": (3, 5, 5)}, constants)
    assert _names(teacher.model) == ["relu"]
    assert len(teacher.model.blocks[0].affine.terms) == 1


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("first", [False, True])
def test_a_constant_along_the_positions_makes_an_identity_block(
    tmp_path: Path, operator: str, first: bool
) -> None:
    constants = {"w": random(4, 3, 1, 1), "k": random(5, 5)}
    names = ["k", "c"] if first else ["c", "k"]
    teacher = exact(tmp_path, _conv_then(operator, names), {"x": (3, 5, 5)}, constants)
    assert _names(teacher.model) == ["conv", "relu"]


def test_a_position_constant_sits_on_the_skip_connection_where_there_is_one(tmp_path: Path) -> None:
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Sum", ["c", "x", "k"], ["z"]),
        node("Relu", ["z"], ["y"], "relu"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (3, 5, 5)}, {"w": random(3, 3, 1, 1), "k": random(5, 5)})
    assert _names(teacher.model) == ["relu"]


def test_sums_join_weighted_terms_and_skip_connections(tmp_path: Path) -> None:
    constants = {"v": random(4, 3, 1, 1), "w": random(4, 3, 3, 3), "a": random(4), "b": random(4, seed=1)}
    nodes = [
        node("Conv", ["x", "v", "a"], ["c"]),
        node("Conv", ["x", "w", "b"], ["d"], pads=[1, 1, 1, 1]),
        node("Sub", ["c", "d"], ["e"]),
        node("Add", ["u", "e"], ["z"]),
        node("Relu", ["z"], ["y"], "relu"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (3, 5, 5), "u": (4, 5, 5)}, constants)
    affine = teacher.model.blocks[0].affine
    assert [t.weight is None for t in affine.terms] == [True, False, False]
    assert affine.bias is not None
    assert_close(affine.bias, constants["a"] - constants["b"])


def test_sums_of_rows_along_different_axes_make_an_identity_block(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "v"], ["right"], "right"),
        node("MatMul", ["w", "x"], ["left"], "left"),
        node("Sub", ["right", "left"], ["z"]),
        node("Relu", ["z"], ["y"], "relu"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (5, 5)}, {"v": random(5, 5), "w": random(5, 5, seed=1)})
    assert _names(teacher.model) == ["left", "relu"]


def test_a_sum_of_three_adds_them_all(tmp_path: Path) -> None:
    exact(tmp_path, [node("Sum", ["x", "u", "x"], ["y"])], {"x": (3, 2), "u": (3, 2)})


BROADCAST = {"x": (3, 1, 4), "u": (1, 5, 4), "v": (1, 1, 1)}


@pytest.mark.parametrize("operator", ["Add", "Sub", "Sum", "Mean"])
def test_activations_of_different_shapes_are_repeated_as_numpy_does(tmp_path: Path, operator: str) -> None:
    exact(tmp_path, [node(operator, ["x", "u"], ["y"])], BROADCAST)
    if operator in ("Sum", "Mean"):
        exact(tmp_path, [node(operator, ["v", "x", "k", "u"], ["y"])], BROADCAST, {"k": random(3, 5, 1)})


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("first", [True, False])
def test_a_constant_may_stretch_an_activation(tmp_path: Path, operator: str, first: bool) -> None:
    if operator == "Div" and first:
        pytest.skip("a constant divided by an activation is not affine")
    names = ["k", "x"] if first else ["x", "k"]
    for constant in (random(5, 1), random(1, 2, 5, 4), random(2, 1, 4)):
        nodes = [node("MatMul", ["u", "w"], ["x"], "product"), node(operator, names, ["y"])]
        teacher = exact(tmp_path, nodes, {"u": (2, 1, 3)}, {"w": random(3, 4), "k": constant})
        assert _names(teacher.model) == ["product"]


def test_weighted_expressions_of_different_shapes_become_blocks(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "v"], ["a"], "one"),
        node("MatMul", ["u", "w"], ["b"], "many"),
        node("Add", ["a", "b"], ["z"]),
        node("Relu", ["z"], ["y"], "relu"),
    ]
    teacher = exact(tmp_path, nodes, {"x": (1, 3), "u": (4, 5)}, {"v": random(3, 2), "w": random(5, 2)})
    assert _names(teacher.model) == ["one", "relu"]


@pytest.mark.parametrize("opset", [7, 8, 13, 21])
def test_the_mean_of_activations_and_weighted_ones_is_exact(tmp_path: Path, opset: int) -> None:
    nodes = [node("MatMul", ["x", "w"], ["a"]), node("Mean", ["a", "x", "x"], ["y"])]
    exact(tmp_path, nodes, {"x": (2, 3)}, {"w": random(3, 3)}, opset=opset)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("diagonal", [None, -1, 2])
def test_triangles_are_exact(tmp_path: Path, upper: int, diagonal: int | None) -> None:
    constants = {} if diagonal is None else {"k": np.array(diagonal)}
    exact(tmp_path, [node("Trilu", ["x", *constants], ["y"], upper=upper)], {"x": (2, 4, 5)}, constants)


def test_negation_is_exact_with_and_without_weights(tmp_path: Path) -> None:
    nodes = [node("Neg", ["x"], ["a"]), node("MatMul", ["a", "w"], ["b"]), node("Neg", ["b"], ["y"])]
    teacher = exact(tmp_path, nodes, {"x": (3,)}, {"w": random(3, 4)})
    assert teacher.model.blocks == ()


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 5)], ids=str)
def test_a_batch_norm_without_weights_before_it_is_a_fixed_diagonal_map(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    constants = {k: random(3, seed=i) for i, k in enumerate("gbm")} | {"v": np.abs(random(3)) + 0.5}
    nodes = [node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"])]
    assert exact(tmp_path, nodes, {"x": shape}, constants).model.nnz == 0


def test_a_batch_norm_across_tied_rows_makes_an_identity_block(tmp_path: Path) -> None:
    constants = {k: random(3, seed=i) for i, k in enumerate("gbm")} | {"v": np.abs(random(3)) + 0.5}
    nodes = [
        node("MatMul", ["x", "w"], ["m"], "product"),
        node("BatchNormalization", ["m", "g", "b", "m_", "v"], ["y"], "norm"),
    ]
    constants |= {"w": random(4, 4), "m_": constants.pop("m")}
    assert _names(exact(tmp_path, nodes, {"x": (3, 4)}, constants).model) == ["product"]


SHAPES = {"x": (3, 2), "w": (2,), "s": (3,)}
REFUSED = {
    "the batch axis in two places, [1, N, 2] and [N, 3, 2]": ([node("Mul", ["x", "w"], ["y"])], {}),
    "divides by zero": ([node("Div", ["x", "k"], ["y"])], {"k": np.array([1, 0], np.float32)}),
    "7 entries along axis 0, the batch axis": ([node("Add", ["x", "k"], ["y"])], {"k": random(7, 3, 2)}),
    "acts along axis 0 of [N, 3], the batch axis": ([node("Trilu", ["s"], ["y"])], {}),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items(), ids=REFUSED)
def test_elementwise_operators_outside_the_state_model_are_refused(
    tmp_path: Path, reason: str, case: tuple
) -> None:
    nodes, constants = case
    shapes = {name: shape for name, shape in SHAPES.items() if name in nodes[0].input}
    assert reason in refused(tmp_path, nodes, shapes, constants)
