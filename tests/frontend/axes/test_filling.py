"""Shapes as numbers, and what is made of them; tensors repeated along axes."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from sim_compress.frontend.axes import Placed
from sim_compress.frontend.axes.numbers import sample_count, sample_number
from tests.frontend.axes.oracle import assert_placed, every_place, question, refusal
from tests.frontend.graphs import node, random

PLACES = every_place(2, 3, 4)
N = sample_count()


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_sizes_are_numbers_in_n(x: Placed) -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Shape", ["x"], ["tail"], start=-2),
        node("Size", ["x"], ["all"]),
        node("Relu", ["x"], ["y"]),
    ]
    found = assert_placed(question(nodes, {"x": x})).tensors
    sizes = [sample_count(s) if i == x.batch else s for i, s in enumerate(x.shape)]
    assert list(found["s"].value) == sizes  # pyright: ignore[reportArgumentType]
    assert list(found["tail"].value) == sizes[-2:]  # pyright: ignore[reportArgumentType]
    assert found["all"].value == sample_count(24)


def test_sizes_of_a_fixed_batch_are_numbers() -> None:
    nodes = [node("Shape", ["x"], ["s"]), node("Relu", ["x"], ["y"])]
    found = assert_placed(question(nodes, {"x": Placed((2, 6), 1)}, samples=4)).tensors["s"]
    np.testing.assert_array_equal(found.value, [2, 24])


def _target(x: Placed, sizes: list[str | int]) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """The nodes that make a shape in which "n" is the batch axis of x."""
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "at"], ["n"]),
        node("Concat", [s if isinstance(s, str) else f"size{s}" for s in sizes], ["target"], axis=0),
    ]
    return nodes, {"at": np.array([x.batch])} | {
        f"size{s}": np.array([s]) for s in sizes if isinstance(s, int)
    }


@pytest.mark.parametrize("sizes", [["n", 3], [3, "n"], ["n"], [2, "n", 3]], ids=str)
def test_a_constant_for_every_sample_is_one_of_each_sample(sizes: list[str | int]) -> None:
    x = Placed((5, 1), 1)
    nodes, constants = _target(x, sizes)
    value = numpy_helper.from_array(np.array([2.5], np.float32))
    nodes += [node("ConstantOfShape", ["target"], ["c"], value=value), node("Relu", ["x"], ["y"])]
    found = assert_placed(question(nodes, {"x": x}, constants)).tensors["c"]
    assert found.batch == sizes.index("n")
    assert (found.value == 2.5).all()


def test_numbers_from_nothing_to_the_number_of_samples_are_theirs() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], end=1),
        node("Squeeze", ["s"], ["n"]),
        node("Mul", ["n", "three"], ["all"]),
        node("Range", ["zero", "all", "one"], ["r"]),
        node("Range", ["zero", "three", "one"], ["plain"]),
        node("Relu", ["x"], ["y"]),
    ]
    constants = {"zero": np.array(0), "one": np.array(1), "three": np.array(3)}
    found = assert_placed(question(nodes, {"x": Placed((1, 2), 0)}, constants)).tensors
    n = sample_number(3)
    assert list(found["r"].value) == [n, n + 1, n + 2]  # pyright: ignore[reportArgumentType]
    assert str(found["r"]) == "[(N 3)]"
    np.testing.assert_array_equal(found["plain"].value, [0, 1, 2])


@pytest.mark.parametrize("samples", [None, 1, 3])
@pytest.mark.parametrize("x", every_place(1, 3, 1), ids=str)
def test_axes_of_one_are_repeated(x: Placed, samples: int | None) -> None:
    full = [2, *(s if s > 1 and i != x.batch else 1 if i == x.batch else 4 for i, s in enumerate(x.shape))]
    constants = {"t": np.array(full)}
    asked = question([node("Expand", ["x", "t"], ["y"])], {"x": x}, constants, samples=samples)
    assert assert_placed(asked).tensors["y"].batch == (x.batch or 0) + 1


@pytest.mark.parametrize("x", [x for x in PLACES if not x.is_merged], ids=str)
def test_a_target_may_name_the_samples(x: Placed) -> None:
    sizes: list[str | int] = [s if i != x.batch else "n" for i, s in enumerate(x.shape)]
    nodes, constants = _target(x, sizes)
    nodes.append(node("Expand", ["x", "target"], ["y"]))
    assert str(assert_placed(question(nodes, {"x": x}, constants)).tensors["y"]) == str(x)


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_whole_tensors_are_repeated_along_every_other_axis(x: Placed) -> None:
    repeats = [1 if i == x.batch else 2 for i in range(len(x.shape))]
    asked = question([node("Tile", ["x", "r"], ["y"])], {"x": x}, {"r": np.array(repeats)})
    assert_placed(asked)
    repeats[x.batch or 0] = 2
    asked = question([node("Tile", ["x", "r"], ["y"])], {"x": x}, {"r": np.array(repeats)})
    assert refusal(asked) == f"repeats axis {x.batch} of {x}, the batch axis"


def test_what_is_equal_for_all_samples_is_repeated_for_each() -> None:
    nodes = [
        node("Shape", ["x"], ["s"], end=1),
        node("Concat", ["s", "one"], ["r"], axis=0),
        node("Tile", ["c", "r"], ["t"]),
        node("Add", ["x", "t"], ["y"]),
    ]
    found = assert_placed(
        question(nodes, {"x": Placed((1, 3), 0)}, {"one": np.array([1]), "c": random(1, 3)})
    )
    assert str(found.tensors["t"]) == "[N, 3]"


REFUSED = {
    "two axes of samples": (["n", "n"], "ConstantOfShape", "which is more than one batch axis"),
    "two axes of samples in a target": ([1, "n", "n"], "Expand", "which is more than one batch axis"),
}


@pytest.mark.parametrize(("sizes", "operator", "reason"), REFUSED.values(), ids=REFUSED)
def test_shapes_that_mix_samples_are_refused(sizes: list, operator: str, reason: str) -> None:
    x = Placed((1, 3, 1), 0)
    nodes, constants = _target(x, sizes)
    inputs = ["target"] if operator == "ConstantOfShape" else ["x", "target"]
    nodes.append(node(operator, inputs, ["y"]))
    assert reason in refusal(question(nodes, {"x": x}, constants))
