"""Parts of tensors joined, cut and padded, with the samples at every place."""

import numpy as np
import pytest

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, every_place, question, refusal
from tests.frontend.graphs import node, random

PLACES = every_place(2, 3, 4)


def _but(x: Placed) -> list[int]:
    """All axes but that of the samples."""
    return [a for a in range(len(x.shape)) if a != x.batch]


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_samples_are_joined_along_every_other_axis(x: Placed) -> None:
    for axis in range(len(x.shape)):
        asked = question([node("Concat", ["x", "x", "u"], ["y"], axis=axis)], {"x": x, "u": x})
        if axis == x.batch:
            assert refusal(asked) == f"joins along axis {axis}, the batch axis"
        else:
            found = assert_placed(asked).tensors["y"]
            assert (found.batch, found.shape[axis]) == (x.batch, 3 * x.shape[axis])


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_a_constant_of_a_fixed_batch_stands_beside_every_sample(x: Placed, samples: int) -> None:
    for axis in _but(x):
        shape = tuple(2 if i == axis else s for i, s in enumerate(x.shape))
        beside = Placed(shape, x.batch, x.before)
        token = beside.in_file(np.repeat(random(1, *beside.sample_shape), samples, axis=0))
        nodes = [node("Concat", ["c", "x", "c"], ["y"], axis=axis)]
        assert_placed(question(nodes, {"x": x}, {"c": token}, samples=samples))


def test_a_token_repeated_for_an_open_batch_stands_beside_every_sample() -> None:
    nodes = [
        node("Shape", ["x"], ["n"], end=1),
        node("Concat", ["n", "rest"], ["target"], axis=0),
        node("Expand", ["c", "target"], ["tokens"]),
        node("Concat", ["tokens", "x"], ["y"], axis=1),
    ]
    constants = {"rest": np.array([2, 4]), "c": random(1, 2, 4)}
    found = assert_placed(question(nodes, {"x": Placed((1, 3, 4), 0)}, constants))
    assert str(found.tensors["y"]) == "[N, 5, 4]"


@pytest.mark.parametrize("opset", [11, 13, 18])
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_parts_are_cut_out_of_every_other_axis(x: Placed, opset: int) -> None:
    for axis in range(len(x.shape)):
        if x.shape[axis] < 2:
            continue
        parts = [1, x.shape[axis] - 1]
        if opset < 13:
            nodes, constants = [node("Split", ["x"], ["a", "y"], axis=axis, split=parts)], {}
        else:
            nodes, constants = [node("Split", ["x", "s"], ["a", "y"], axis=axis)], {"s": np.array(parts)}
        asked = question(nodes, {"x": x}, constants, ["a", "y"], opset=opset)
        if axis == x.batch:
            assert "the batch axis" in refusal(asked)
        else:
            assert assert_placed(asked).tensors["y"].shape[axis] == parts[1]


@pytest.mark.parametrize("parts", [2, 3])
def test_even_parts_may_have_a_smaller_last_one(parts: int) -> None:
    nodes = [node("Split", ["x"], ["a", "b", "c"][:parts], axis=1, num_outputs=parts)]
    found = assert_placed(question(nodes, {"x": Placed((1, 5), 0)}, outputs=["a", "b"], opset=18))
    assert found.tensors["b"].shape == (1, 2)


WINDOWS = [(1, 3, 1), (-2, 2**62, 1), (-1, -(2**62), -1), (0, 10**9, 2), (3, 0, -2)]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_windows_are_cut_out_of_every_other_axis(x: Placed, window: tuple[int, int, int]) -> None:
    start, end, step = window
    for axis in _but(x):
        if not len(range(*slice(start, end, step).indices(x.shape[axis]))):
            continue
        constants = {n: np.array([v]) for n, v in zip("seaw", (start, end, axis, step), strict=True)}
        assert_placed(question([node("Slice", ["x", *"seaw"], ["y"])], {"x": x}, constants))


@pytest.mark.parametrize("x", PLACES[:5], ids=str)
def test_windows_of_older_operator_sets(x: Placed) -> None:
    axis = _but(x)[-1]
    nodes = [node("Slice", ["x"], ["y"], starts=[1], ends=[2**31 - 1], axes=[axis])]
    assert_placed(question(nodes, {"x": x}, opset=9))


KEPT = {"no end": (0, 2**62, None), "the batch": (0, 3, 3), "beyond the batch": (0, 8, 3)}
CUT = {
    "a part": (0, 2, 3),
    "from the second on": (1, 2**62, None),
    "the first": (0, 1, None),
    "the last": (-1, 2**62, 3),
}


@pytest.mark.parametrize(("start", "end", "samples"), KEPT.values(), ids=KEPT)
def test_a_window_of_all_samples_is_none(start: int, end: int, samples: int | None) -> None:
    constants = {"s": np.array([start, 0]), "e": np.array([end, 1])}
    asked = question(
        [node("Slice", ["x", "s", "e"], ["y"])], {"x": Placed((1, 2), 0)}, constants, samples=samples
    )
    assert str(assert_placed(asked).tensors["y"]) == "[N, 1]"


@pytest.mark.parametrize(("start", "end", "samples"), CUT.values(), ids=CUT)
def test_a_window_of_some_samples_is_refused(start: int, end: int, samples: int | None) -> None:
    constants = {"s": np.array([start]), "e": np.array([end])}
    asked = question(
        [node("Slice", ["x", "s", "e"], ["y"])], {"x": Placed((1, 2), 0)}, constants, samples=samples
    )
    assert refusal(asked) == "cuts axis 0 of [N, 2], the batch axis"


def test_a_window_that_the_number_of_samples_decides_is_all_of_them_or_refused() -> None:
    """x[: x.shape[0]] keeps all; x[:, : x.shape[0]] depends on the batch."""
    nodes = [node("Shape", ["x"], ["n"], end=1), node("Slice", ["x", "zero", "n", "axis"], ["y"])]
    x = Placed((1, 5), 0)
    asked = question(nodes, {"x": x}, {"zero": np.array([0]), "axis": np.array([0])})
    assert str(assert_placed(asked).tensors["y"]) == "[N, 5]"
    asked = question(nodes, {"x": x}, {"zero": np.array([0]), "axis": np.array([1])})
    assert refusal(asked) == "cuts from 0 to N, which the inputs decide"


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("x", PLACES, ids=str)
def test_every_other_axis_is_padded(x: Placed, mode: str) -> None:
    for axis in range(len(x.shape)):
        pads = np.zeros((2, len(x.shape)), np.int64)
        pads[:, axis] = (1, 0) if mode == "reflect" or x.shape[axis] == 1 else (2, 1)
        if mode == "reflect" and x.shape[axis] == 1:
            continue
        nodes = [node("Pad", ["x", "p"], ["y"], mode=mode)]
        asked = question(nodes, {"x": x}, {"p": pads.ravel()})
        if axis == x.batch:
            assert refusal(asked) == f"pads axis {axis} of {x}, the batch axis"
        else:
            assert_placed(asked)


def test_padding_names_its_axes_in_newer_operator_sets_and_is_an_attribute_in_older_ones() -> None:
    x = Placed((3, 1, 4), 1)
    nodes = [node("Pad", ["x", "p", "v", "a"], ["y"])]
    constants = {"p": np.array([1, 2, 0, -1]), "v": np.float32(7), "a": np.array([-1, 0])}
    found = assert_placed(question(nodes, {"x": x}, constants, opset=18))
    assert found.tensors["y"].shape == (4, 1, 5)
    assert_placed(question([node("Pad", ["x"], ["y"], pads=[1, 0, 0, 0, 0, 2])], {"x": x}, opset=10))


REFUSED = {
    "of different ranks": (
        node("Concat", ["x", "flat"], ["y"], axis=0),
        Placed((1, 3, 2), 0),
        {"flat": random(2, 3)},
    ),
    "differ beside axis 2": (
        node("Concat", ["x", "c"], ["y"], axis=2),
        Placed((3, 1, 2), 1),
        {"c": random(4, 1, 2)},
    ),
    "sizes of padding": (node("Pad", ["x", "p"], ["y"]), Placed((1, 3), 0), {"p": np.array([0, 1])}),
    "cuts axis 1 of [N, 3] into [1, 1]": (
        node("Split", ["x", "s"], ["y", "z"], axis=1),
        Placed((1, 3), 0),
        {"s": np.array([1, 1])},
    ),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items(), ids=REFUSED)
def test_parts_that_do_not_fit_are_refused(reason: str, case: tuple) -> None:
    one, x, constants = case
    assert reason in refusal(question([one], {"x": x}, constants))
