"""Entries looked up by their numbers, with samples in the table, in the numbers, or in both."""

import numpy as np
import onnx
import pytest

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, every_place, question, refusal
from tests.frontend.graphs import node, random

INT64, FLOAT = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
PLACES = every_place(2, 3, 4)
IDS = every_place(2, 3)


@pytest.mark.parametrize("numbers", [np.array(1), np.array([1, 0, -1]), np.array([[0], [1]])], ids=str)
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_constant_numbers_pick_along_every_other_axis(x: Placed, numbers: np.ndarray) -> None:
    for axis in range(len(x.shape)):
        asked = question([node("Gather", ["x", "i"], ["y"], axis=axis)], {"x": x}, {"i": numbers})
        if axis == x.batch:
            assert "the batch axis" in refusal(asked)
        elif x.shape[axis] > 1:
            found = assert_placed(asked).tensors["y"]
            assert (found.before, len(found.shape)) == (x.before, len(x.shape) - 1 + numbers.ndim)


@pytest.mark.parametrize("ids", IDS, ids=str)
def test_samples_ask_a_learned_table(ids: Placed) -> None:
    nodes = [node("Gather", ["t", "ids"], ["y"])]
    asked = question(nodes, {"ids": ids}, {"t": random(5, 4)}, types={"ids": INT64}, highest=5)
    found = assert_placed(asked).tensors["y"]
    assert str(found) == str(ids).replace("]", ", 4]")


@pytest.mark.parametrize("ids", IDS[:3], ids=str)
def test_a_table_behind_axes_of_one_is_asked_alike(ids: Placed) -> None:
    nodes = [node("Gather", ["t", "ids"], ["y"], axis=1)]
    asked = question(nodes, {"ids": ids}, {"t": random(1, 5, 4)}, types={"ids": INT64}, highest=5)
    assert assert_placed(asked).tensors["y"].batch == (ids.batch or 0) + 1


@pytest.mark.parametrize("x", [x for x in PLACES if x.before == 1], ids=str)
def test_samples_that_ask_for_all_of_their_own_entries_get_them(x: Placed) -> None:
    """A Gather along the batch axis by 0 .. m N, as the places of windows are found."""
    assert x.batch is not None
    nodes = [
        node("Shape", ["x"], ["s"], start=x.batch, end=x.batch + 1),
        node("Squeeze", ["s"], ["n"]),
        node("Range", ["zero", "n", "one"], ["places"]),
        node("Gather", ["x", "places"], ["y"], axis=x.batch),
    ]
    asked = question(nodes, {"x": x}, {"zero": np.array(0), "one": np.array(1)})
    assert str(assert_placed(asked).tensors["y"]) == str(x)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_fixed_batch_of_places_is_that_of_each_sample(samples: int) -> None:
    """Four windows a sample, two of which are asked for, the second first."""
    x = Placed((4, 3), 0)
    places = (4 * np.arange(samples)[:, None] + np.array([2, 1])).ravel()
    asked = question([node("Gather", ["x", "i"], ["y"])], {"x": x}, {"i": places}, samples=samples)
    if samples > 1:
        assert str(assert_placed(asked).tensors["y"]) == "[(N 2), 3]"


def test_one_entry_of_each_sample_that_data_decide() -> None:
    """The last token of a text: states [(n, argmax)] by GatherND."""
    nodes = [
        node("ArgMax", ["ids"], ["last"], axis=1, keepdims=0),
        node("Shape", ["ids"], ["s"], end=1),
        node("Squeeze", ["s"], ["n"]),
        node("Range", ["zero", "n", "one"], ["own"]),
        node("Unsqueeze", ["own", "minus"], ["a"]),
        node("Unsqueeze", ["last", "minus"], ["b"]),
        node("Concat", ["a", "b"], ["places"], axis=1),
        node("GatherND", ["x", "places"], ["y"]),
    ]
    inputs = {"x": Placed((1, 5, 3), 0), "ids": Placed((1, 5), 0)}
    constants = {"zero": np.array(0), "one": np.array(1), "minus": np.array([-1])}
    asked = question(nodes, inputs, constants, types={"ids": INT64}, highest=9)
    assert str(assert_placed(asked).tensors["y"]) == "[N, 3]"


def test_a_mask_by_the_numbers_of_samples_and_places_is_a_rearrangement() -> None:
    """mask[arange(N)[:, None], arange(T)] by GatherND, as torch writes a mask of keys."""
    nodes = [
        node("Shape", ["x"], ["s"], end=1),
        node("Squeeze", ["s"], ["n"]),
        node("Range", ["zero", "n", "one"], ["own"]),
        node("Reshape", ["own", "column"], ["a"]),
        node("Shape", ["x"], ["full"]),
        node("Concat", ["full", "unit"], ["wide"], axis=0),
        node("Expand", ["a", "wide"], ["rows"]),
        node("Expand", ["t", "wide"], ["columns"]),
        node("Concat", ["rows", "columns"], ["places"], axis=2),
        node("GatherND", ["x", "places"], ["y"]),
    ]
    constants = {
        "zero": np.array(0),
        "one": np.array(1),
        "unit": np.array([1]),
        "column": np.array([-1, 1, 1]),
        "t": np.arange(4).reshape(1, 4, 1),
    }
    assert str(assert_placed(question(nodes, {"x": Placed((1, 4), 0)}, constants)).tensors["y"]) == "[N, 4]"


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_entries_of_a_constant_pattern_beside_every_sample(x: Placed) -> None:
    for axis in range(len(x.shape)):
        if axis == x.batch or x.shape[axis] < 2:
            continue
        shape = tuple(2 if i == axis else s for i, s in enumerate(x.shape))
        numbers = np.random.default_rng(0).integers(0, x.shape[axis], shape)
        for samples in (1, 2):
            beside = Placed(shape, x.batch, x.before)
            full = beside.in_file(np.repeat(numbers.reshape(1, *beside.sample_shape), samples, axis=0))
            nodes = [node("GatherElements", ["x", "i"], ["y"], axis=axis)]
            assert_placed(question(nodes, {"x": x}, {"i": full}, samples=samples))


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_entries_that_a_constant_condition_keeps(x: Placed) -> None:
    for axis in range(len(x.shape)):
        keep = np.arange(x.shape[axis]) % 2 == 0
        asked = question([node("Compress", ["x", "k"], ["y"], axis=axis)], {"x": x}, {"k": keep})
        if axis == x.batch:
            assert refusal(asked) == f"acts along axis {axis} of {x}, the batch axis"
        else:
            assert assert_placed(asked).tensors["y"].shape[axis] == keep.sum()


@pytest.mark.parametrize("x", [*every_place(3, 2, 4)[2:4], Placed((3, 2, 4), 2), Placed((3, 2, 4))], ids=str)
def test_several_constant_numbers_pick_entries_in_front_of_the_samples(x: Placed) -> None:
    numbers = np.array([[[0, 1], [-1, 0]], [[2, -2], [1, 1]]])
    asked = question(
        [node("GatherND", ["x", "i"], ["y"])], {"x": x}, {"i": numbers}, samples=None if x.batch else 1
    )
    assert assert_placed(asked).tensors["y"].shape == (2, 2, *x.shape[2:])
    asked = question([node("GatherND", ["x", "i"], ["y"])], {"x": x}, {"i": np.array([[3, 0]])})
    assert "looks up an entry outside" in refusal(asked)


def test_each_sample_looks_up_constant_places_of_its_own() -> None:
    """GatherND with the axis of the samples beside: states (N, T, E), numbers (N, K, 1)."""
    nodes = [
        node("Shape", ["x"], ["n"], end=1),
        node("Concat", ["n", "rest"], ["wide"], axis=0),
        node("Expand", ["i", "wide"], ["places"]),
        node("GatherND", ["x", "places"], ["y"], batch_dims=1),
    ]
    constants = {"i": np.array([[[4], [0], [-2]]]), "rest": np.array([3, 1])}
    asked = question(nodes, {"x": Placed((1, 5, 3), 0)}, constants)
    assert str(assert_placed(asked).tensors["y"]) == "[N, 3, 3]"


@pytest.mark.parametrize("shift", [0, 5], ids=["from the first", "from the end"])
def test_each_sample_looks_up_places_of_its_own_that_data_decide(shift: int) -> None:
    nodes = [
        node("ArgMax", ["ids"], ["found"], axis=1, keepdims=0),
        node("Sub", ["found", "shift"], ["last"]),
        node("Unsqueeze", ["last", "minus"], ["places"]),
        node("GatherND", ["x", "places"], ["y"], batch_dims=1),
    ]
    inputs = {"x": Placed((1, 5, 3), 0), "ids": Placed((1, 5, 2), 0)}
    constants = {"shift": np.array(shift), "minus": np.array([-1])}
    asked = question(nodes, inputs, constants, types={"ids": INT64}, highest=9)
    assert str(assert_placed(asked).tensors["y"]) == "[N, 2, 3]"


X = {"x": Placed((1, 5), 0)}
REFUSED = {
    "looks up entries along the axis of [N, 5] that is the batch axis": (
        [node("Gather", ["x", "i"], ["y"], axis=0)],
        X,
    ),
    "that are not its samples'": ([node("GatherElements", ["x", "pattern"], ["y"], axis=1)], X),
    "looks up along axis 0, the batch axis": (
        [node("GatherElements", ["x", "ids"], ["y"], axis=0)],
        X | {"ids": X["x"]},
    ),
    "by numbers of each sample": ([node("Gather", ["x", "ids"], ["y"], axis=1)], X | {"ids": X["x"]}),
    "flattens [N, 5], the batch axis with it": ([node("Compress", ["x", "k"], ["y"])], X),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items(), ids=REFUSED)
def test_lookups_that_mix_samples_are_refused(reason: str, case: tuple) -> None:
    nodes, inputs = case
    constants = {"i": np.array([1]), "pattern": np.zeros((3, 5), np.int64), "k": np.ones(3, bool)}
    assert reason in refusal(question(nodes, inputs, constants, types={"ids": INT64}))


def test_a_place_outside_of_a_known_list_is_refused() -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "i"], ["n"]),
        node("Cast", ["n"], ["c"], to=FLOAT),
        node("Add", ["x", "c"], ["y"]),
    ]
    assert "looks up an entry outside of axis 0" in refusal(question(nodes, X, {"i": np.array(7)}))
