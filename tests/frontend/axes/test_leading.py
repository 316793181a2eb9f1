"""Convolutions and their kin, whose axis 0 holds the samples alone, or steps of them."""

import numpy as np
import onnx
import pytest

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, question, refusal
from tests.frontend.graphs import node, random

IMAGES = [
    Placed((1, 4, 6, 6), 0),
    Placed((3, 4, 6, 6), 0),
    Placed((3, 4, 6, 6), 0, 3),
    Placed((6, 4, 6, 6), 0, 2),
]
NORM = {k: np.abs(random(4, seed=i)) + 0.5 for i, k in enumerate("gbmv")}


WINDOWS = {
    "convolution": (
        node("Conv", ["x", "w", "c"], ["y"], pads=[1, 0, 1, 2], strides=[2, 1]),
        {"w": random(3, 4, 3, 3), "c": random(3)},
    ),
    "grouped": (node("Conv", ["x", "w"], ["y"], group=2, dilations=[1, 2]), {"w": random(6, 2, 3, 2)}),
    "valid": (node("Conv", ["x", "w"], ["y"], auto_pad="VALID"), {"w": random(3, 4, 3, 3)}),
    "largest": (node("MaxPool", ["x"], ["y"], kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 0, 1]), {}),
    "ceiling": (node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {}),
    "average": (node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1, 1, 0, 0]), {}),
    "average with padding": (
        node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1),
        {},
    ),
    "average of all": (node("GlobalAveragePool", ["x"], ["y"]), {}),
    "largest of all": (node("GlobalMaxPool", ["x"], ["y"]), {}),
    "batch norm": (node("BatchNormalization", ["x", *NORM], ["y"]), NORM),
}


@pytest.mark.parametrize("case", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize("x", IMAGES, ids=str)
def test_images_and_steps_of_images(x: Placed, case: tuple[onnx.NodeProto, dict]) -> None:
    one, constants = case
    found = assert_placed(question([one], {"x": x}, constants)).tensors["y"]
    assert (found.batch, found.before, found.shape[0]) == (0, x.before, x.shape[0])


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("samples", [None, 2])
def test_global_pooling_of_steps_in_older_operator_sets(samples: int | None, opset: int) -> None:
    asked = question(
        [node("GlobalAveragePool", ["x"], ["y"])], {"x": IMAGES[1]}, samples=samples, opset=opset
    )
    assert_placed(asked)


ALONE = {
    "transposed convolution": (
        node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2]),
        {"w": random(4, 3, 3, 3)},
    ),
    "same padding": (node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER"), {"w": random(3, 4, 3, 3)}),
    "depth to space": (node("DepthToSpace", ["x"], ["y"], blocksize=2), {}),
    "instance norm": (node("InstanceNormalization", ["x", "g", "b"], ["y"]), {k: NORM[k] for k in "gb"}),
    "local norm": (node("LRN", ["x"], ["y"], size=3), {}),
}


@pytest.mark.parametrize("case", ALONE.values(), ids=ALONE)
def test_nodes_of_images_alone_refuse_steps(case: tuple[onnx.NodeProto, dict]) -> None:
    one, constants = case
    assert_placed(question([one], {"x": IMAGES[0]}, constants))
    said = refusal(question([one], {"x": IMAGES[1]}, constants))
    assert said == "works on a batch of 3 in each sample, [(N 3), 4, 6, 6]"


@pytest.mark.parametrize("case", [*WINDOWS.values(), *ALONE.values()], ids=[*WINDOWS, *ALONE])
def test_samples_behind_axis_0_are_refused(case: tuple[onnx.NodeProto, dict]) -> None:
    one, constants = case
    said = refusal(question([one], {"x": Placed((3, 4, 1, 6), 2)}, constants))
    assert said == "takes axis 0 of [3, 4, N, 6] for the batch axis, which is axis 2"


def test_weights_of_each_sample_are_refused() -> None:
    inputs = {"x": IMAGES[0], "w": Placed((1, 4, 3, 3), 0)}
    assert refusal(question([node("Conv", ["x", "w"], ["y"])], inputs)) == (
        "has weights that are different for each sample"
    )


def test_a_window_that_does_not_fit_is_refused() -> None:
    asked = question([node("Conv", ["x", "w"], ["y"])], {"x": IMAGES[0]}, {"w": random(3, 4, 9, 9)})
    assert "gives a tensor of shape" in refusal(asked)


RESIZED = {
    "factors": (["x", "", "f"], {"f": np.array([1, 1, 2, 1.5], np.float32)}, None),
    "sizes": (["x", "", "", "s"], {"s": np.array([1, 4, 9, 3])}, 1),
    "sizes of two": (["x", "", "", "s"], {"s": np.array([2, 4, 9, 3])}, 2),
}


@pytest.mark.parametrize("case", RESIZED.values(), ids=RESIZED)
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resized_images(case: tuple, mode: str) -> None:
    names, constants, samples = case
    nodes = [node("Resize", names, ["y"], mode=mode, coordinate_transformation_mode="asymmetric")]
    assert_placed(question(nodes, {"x": IMAGES[0]}, constants, samples=samples))


def test_sizes_that_follow_from_those_of_the_batch_keep_it() -> None:
    """torch writes the sizes of an open batch as shape arithmetic."""
    nodes = [
        node("Shape", ["x"], ["s"], end=2),
        node("Concat", ["s", "space"], ["sizes"], axis=0),
        node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear"),
    ]
    found = assert_placed(question(nodes, {"x": IMAGES[0]}, {"space": np.array([9, 3])}))
    assert str(found.tensors["y"]) == "[N, 4, 9, 3]"


def test_a_resized_batch_axis_is_refused() -> None:
    nodes = [node("Resize", ["x", "", "f"], ["y"], mode="nearest")]
    asked = question(nodes, {"x": IMAGES[0]}, {"f": np.array([2, 1, 1, 1], np.float32)})
    assert refusal(asked) == "resizes axis 0 of [N, 4, 6, 6], the batch axis"
    asked = question(nodes, {"x": IMAGES[1]}, {"f": np.array([1, 1, 2, 1], np.float32)})
    assert refusal(asked) == "takes axis 0 of [(N 3), 4, 6, 6] for the batch axis"
