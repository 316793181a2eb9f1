"""Reshape, Transpose and their kin keep every entry of every sample, wherever the samples are."""

from itertools import permutations

import numpy as np
import pytest

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, every_place, question, refusal
from tests.frontend.graphs import node

PLACES = every_place(2, 3, 4)


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_transposed_samples_are_where_their_axis_goes(x: Placed) -> None:
    for order in permutations(range(len(x.shape))):
        if order[0] == len(order) - 1 or order[-1] == 0:
            found = assert_placed(question([node("Transpose", ["x"], ["y"], perm=order)], {"x": x}))
            assert found.tensors["y"].batch == order.index(x.batch)
    assert_placed(question([node("Transpose", ["x"], ["y"])], {"x": x}))


REGROUPED = {
    "heads apart": (Placed((1, 5, 6), 0), [0, 0, 3, 2], "[N, 5, 3, 2]"),
    "heads merged with samples": (Placed((5, 1, 6), 1), [5, -1, 2], "[5, (N 3), 2]"),
    "heads taken apart again": (Placed((5, 3, 2), 1), [5, -1, 6], "[5, N, 6]"),
    "steps merged with samples": (Placed((1, 5, 6), 0), [-1, 6], "[(N 5), 6]"),
    "steps before samples merged": (Placed((5, 1, 6), 1), [-1, 6], "[(5 N), 6]"),
    "steps before samples apart": (Placed((5, 6), 0, 5), [5, -1, 3, 2], "[5, N, 3, 2]"),
    "windows": (Placed((1, 4, 4, 3), 0), [-1, 2, 2, 2, 2, 3], "[N, 2, 2, 2, 2, 3]"),
    "windows merged": (Placed((1, 2, 2, 2, 2, 3), 0), [-1, 4, 3], "[(N 4), 4, 3]"),
    "an axis of one": (Placed((1, 6), 0), [-1, 1, 6], "[N, 1, 6]"),
}


@pytest.mark.parametrize(("x", "target", "place"), REGROUPED.values(), ids=REGROUPED)
def test_regrouped_samples_keep_their_entries(x: Placed, target: list[int], place: str) -> None:
    nodes = [node("Reshape", ["x", "t"], ["y"])]
    found = assert_placed(question(nodes, {"x": x}, {"t": np.array(target)}))
    assert str(found.tensors["y"]) == place


@pytest.mark.parametrize("samples", [1, 2, 5])
@pytest.mark.parametrize(("x", "target", "place"), REGROUPED.values(), ids=REGROUPED)
def test_a_fixed_batch_is_found_in_the_target(x: Placed, target: list[int], place: str, samples: int) -> None:
    """The same target with its numbers written out, as exporters do for fixed batches."""
    open_ = question([node("Reshape", ["x", "t"], ["y"])], {"x": x}, {"t": np.array(target)})
    full = open_.answer().tensors["y"].full_shape(samples)
    nodes = [node("Reshape", ["x", "t"], ["y"])]
    found = assert_placed(question(nodes, {"x": x}, {"t": np.array(full)}, samples=samples))
    assert str(found.tensors["y"]) == place


@pytest.mark.parametrize("axis", range(-3, 5))
def test_flattened_samples_keep_their_entries(axis: int) -> None:
    x = Placed((1, 3, 1, 4), 0)
    asked = question([node("Flatten", ["x"], ["y"], axis=axis)], {"x": x})
    places = {0: "[1, (N 12)]", 1: "[N, 12]", 2: "[(N 3), 4]", 3: "[(N 3), 4]", 4: "[(N 12), 1]"}
    assert str(assert_placed(asked).tensors["y"]) == places[axis % 4 if axis < 4 else 4]


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("x", every_place(1, 3, 1), ids=str)
def test_axes_of_one_leave_and_come(x: Placed, opset: int) -> None:
    gone = [i for i, s in enumerate(x.shape) if s == 1 and i != x.batch]
    count = len(x.shape) - len(gone) + 2
    added = [0, count - 1]
    if opset < 13:
        nodes = [node("Squeeze", ["x"], ["s"], axes=gone), node("Unsqueeze", ["s"], ["y"], axes=added)]
        constants = {}
    else:
        nodes = [node("Squeeze", ["x", "g"], ["s"]), node("Unsqueeze", ["s", "a"], ["y"])]
        constants = {"g": np.array(gone), "a": np.array(added)}
    found = assert_placed(question(nodes, {"x": x}, constants, opset=opset))
    assert found.tensors["y"].batch == found.tensors["s"].batch + 1  # pyright: ignore[reportOptionalOperand]


def test_a_batch_of_one_may_be_dropped_and_stands_beside_an_axis_then() -> None:
    nodes = [node("Squeeze", ["x"], ["s"]), node("Unsqueeze", ["s", "a"], ["y"])]
    asked = question(nodes, {"x": Placed((1, 3, 4), 0)}, {"a": np.array([0])}, samples=1)
    assert str(assert_placed(asked).tensors["s"]) == "[(N 3), 4]"


def test_a_batch_of_one_is_tried_in_other_places_until_the_graph_goes_through() -> None:
    """(5, 1, 6) as (5, 6), whose samples could stand beside the steps or the entries; a Softmax decides."""
    for axis, place in ((0, "[5, (N 6)]"), (1, "[(5 N), 6]")):
        nodes = [
            node("Reshape", ["x", "t"], ["r"]),
            node("Softmax", ["r"], ["s"], axis=axis),
            node("Reshape", ["s", "back"], ["y"]),
        ]
        constants = {"t": np.array([5, 6]), "back": np.array([5, 1, 6])}
        asked = question(nodes, {"x": Placed((5, 1, 6), 1)}, constants, samples=1)
        assert str(assert_placed(asked).tensors["s"]) == place


@pytest.mark.parametrize("x", [x for x in PLACES if not x.is_merged], ids=str)
def test_nodes_without_an_effect_keep_the_place(x: Placed) -> None:
    nodes = [node("Identity", ["x"], ["i"]), node("Dropout", ["i"], ["y"])]
    assert assert_placed(question(nodes, {"x": x})).tensors["y"].batch == x.batch


def test_without_axes_those_of_one_leave_and_the_samples_stay() -> None:
    for x, place in ((Placed((4, 1, 1, 3), 1), "[4, N, 3]"), (Placed((2, 1, 3), 0, 2), "[(2 N), 3]")):
        found = question([node("Squeeze", ["x"], ["y"])], {"x": x}).answer()
        assert not found.refused
        assert str(found.tensors["y"]) == place


REFUSED = {
    "mixes the batch axis of [N, 4, 3] with others": (
        node("Reshape", ["x", "steps"], ["y"]),
        [4, -1, 3],
        None,
    ),
    "has no place for the batch axis of [N, 4, 3]": (node("Reshape", ["x", "fixed"], ["y"]), [2, 12], None),
    "drops axis 0 of [N, 4, 3], the batch axis": (node("Squeeze", ["x", "fixed"], ["y"]), [0], None),
    "more than one entry": (node("Squeeze", ["x", "fixed"], ["y"]), [1], None),
    "adds an axis twice": (node("Unsqueeze", ["x", "fixed"], ["y"]), [1, 1], None),
    "axis 7 does not exist": (node("Unsqueeze", ["x", "fixed"], ["y"]), [7], None),
    "none of the axes": (node("Transpose", ["x"], ["y"], perm=[0, 1, 1]), [], None),
    "its target (3, 8) mixes the batch axis": (node("Reshape", ["x", "fixed"], ["y"]), [3, 8], 2),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items(), ids=REFUSED)
def test_rearrangements_that_mix_samples_are_refused(reason: str, case: tuple) -> None:
    one, numbers, samples = case
    names = [n for n in one.input if n != "x"]
    asked = question(
        [one], {"x": Placed((1, 4, 3), 0)}, {n: np.array(numbers) for n in names}, samples=samples
    )
    assert reason in refusal(asked)
