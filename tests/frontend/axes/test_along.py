"""Operators along axes: each on every axis of every place of the samples, refused on theirs."""

from collections.abc import Sequence

import numpy as np
import pytest
from onnx import NodeProto

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import Question, assert_placed, every_place, question, refusal
from tests.frontend.graphs import node, random

PLACES = every_place(2, 3, 4)


def _assert_along(asked: Question, x: Placed, axes: Sequence[int]) -> None:
    """Exact, or refused by the batch axis where that is one of the axes."""
    if x.batch in axes:
        assert refusal(asked) == f"acts along axis {x.batch} of {x}, the batch axis"
    else:
        assert str(assert_placed(asked).tensors["y"]) == str(x)


@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "LpNormalization"])
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_one_axis(operator: str, x: Placed) -> None:
    for axis in range(-len(x.shape), len(x.shape)):
        asked = question([node(operator, ["x"], ["y"], axis=axis)], {"x": x})
        _assert_along(asked, x, [axis % len(x.shape)])


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_older_softmax_takes_all_axes_from_one_on(x: Placed) -> None:
    for axis in range(len(x.shape)):
        asked = question([node("Softmax", ["x"], ["y"], axis=axis)], {"x": x}, opset=11)
        _assert_along(asked, x, range(axis, len(x.shape)))


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_layer_normalisation_takes_all_axes_from_one_on(x: Placed) -> None:
    for axis in range(len(x.shape)):
        constants = {"s": random(*x.shape[axis:]), "b": random(*x.shape[axis:], seed=1)}
        nodes: list[NodeProto] = [node("LayerNormalization", ["x", "s", "b"], ["y"], axis=axis)]
        _assert_along(question(nodes, {"x": x}, constants), x, range(axis, len(x.shape)))


@pytest.mark.parametrize("settings", [{}, {"exclusive": 1}, {"reverse": 1}], ids=str)
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_running_sums(x: Placed, settings: dict) -> None:
    for axis in range(len(x.shape)):
        nodes = [node("CumSum", ["x", "a"], ["y"], **settings)]
        _assert_along(question(nodes, {"x": x}, {"a": np.array(axis)}), x, [axis])


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_triangles(x: Placed, upper: int) -> None:
    rank = len(x.shape)
    asked = question([node("Trilu", ["x", "k"], ["y"], upper=upper)], {"x": x}, {"k": np.array(1)})
    _assert_along(asked, x, [rank - 1, rank - 2])


REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp"]


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("operator", REDUCTIONS)
def test_reductions(operator: str, opset: int, keepdims: int) -> None:
    for x in PLACES[::2]:
        for axes in ([0], [1, -1], [-1]):
            taken = sorted({a % len(x.shape) for a in axes})
            if opset < 13:
                nodes, constants = [node(operator, ["x"], ["y"], axes=axes, keepdims=keepdims)], {}
            else:
                nodes = [node(operator, ["x", "a"], ["y"], keepdims=keepdims)]
                constants = {"a": np.array(axes)}
            asked = question(nodes, {"x": x}, constants, opset=opset)
            if x.batch in taken:
                assert "the batch axis" in refusal(asked)
                continue
            found = assert_placed(asked).tensors["y"]
            assert len(found.shape) == len(x.shape) - (0 if keepdims else len(taken))


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_the_place_of_the_largest(x: Placed) -> None:
    for axis in range(len(x.shape)):
        for keepdims in (0, 1):
            nodes = [node("ArgMax", ["x"], ["y"], axis=axis, keepdims=keepdims)]
            asked = question(nodes, {"x": x})
            if axis == x.batch:
                assert "the batch axis" in refusal(asked)
            else:
                assert_placed(asked)


def test_a_reduction_of_no_axes_does_nothing_where_the_node_says_so() -> None:
    x = Placed((1, 2, 3), 0)
    nodes = [node("ReduceSum", ["x", "a"], ["y"], noop_with_empty_axes=1)]
    assert str(assert_placed(question(nodes, {"x": x}, {"a": np.zeros(0, np.int64)})).tensors["y"]) == str(x)
    assert "reduces all axes of [N, 2, 3], the batch axis too" in refusal(
        question([node("ReduceMax", ["x"], ["y"])], {"x": x})
    )
