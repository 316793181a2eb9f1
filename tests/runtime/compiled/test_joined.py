"""Concatenations are copies, whatever their axis and whatever reads them; sums are not taken for them."""

from pathlib import Path

import pytest

from tests.frontend.graphs import exact, node, random

PARTS = 4


def joined(axis: int, again: bool = False) -> list:
    """States and inputs side by side along an axis; `again` adds the parts once more, over the result."""
    states = [node("Relu", ["u"], ["a"]), node("Tanh", ["u"], ["b"]), node("Sigmoid", ["v"], ["c"])]
    nodes = [*states, node("Concat", ["a", "v", "b", "c"], ["all"], "all", axis=axis)]
    if again:
        nodes.append(node("Concat", ["c", "b", "v", "a"], ["more"], "more", axis=axis))
        nodes.append(node("Add", ["all", "more"], ["sum"], "sum"))
    return nodes


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (3, 6, 7)], ids=str)
def test_parts_along_every_axis_are_exact(tmp_path: Path, shape: tuple[int, ...], again: bool) -> None:
    for axis in range(1, len(shape) + 1):
        last = "sum" if again else "all"
        nodes = [*joined(axis, again), node("Exp", [last], ["y"])]
        exact(tmp_path, nodes, {"u": shape, "v": shape}, outputs=["y", last])


def test_a_convolution_reads_the_border_of_joined_images(tmp_path: Path) -> None:
    nodes = [
        *joined(1),
        node("Identity", ["all"], ["images"]),
        node("Conv", ["images", "w"], ["y"], "conv", pads=[1, 1, 1, 1]),
        node("Conv", ["images", "v2"], ["z"], "other", pads=[2, 2, 2, 2], kernel_shape=[5, 5]),
    ]
    weights = {"w": random(4, 2 * PARTS, 3, 3), "v2": random(4, 2 * PARTS, 5, 5, seed=1)}
    exact(tmp_path, nodes, {"u": (2, 6, 7), "v": (2, 6, 7)}, weights, ["y", "z"])


def test_steps_with_the_same_rows_and_different_biases_keep_their_biases(tmp_path: Path) -> None:
    nodes = [node("Gemm", ["x", "w", "b0"], ["z0"], "first"), node("Relu", ["z0"], ["h0"])]
    nodes += [node("Gemm", ["h0", "w", "b1"], ["z1"], "second"), node("Relu", ["z1"], ["h1"])]
    nodes += [node("Gemm", ["h1", "w"], ["y"], "third")]
    constants = {"w": random(6, 6), "b0": random(6, seed=1), "b1": random(6, seed=2)}
    exact(tmp_path, nodes, {"x": (6,)}, constants)
