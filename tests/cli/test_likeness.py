"""Which pixels a network was trained on is told from its first layers and its scores."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress import open_teacher
from sim_compress.cli.data.likeness import oddness
from sim_compress.cli.data.synthetic import made_up_inputs
from tests.frontend.graphs import ROOT, SHARED, graph_of, node, random, saved

SIZE = 12
MEAN, STD = 0.45, 0.225
RAW = "pixels 0..255"
ROWS, CLASSES = 8, 10


def trained(raw: bool = False, inside: bool = False, biases: bool = True, classes: int = CLASSES):
    """A network as training leaves it on standardised pixels: states of about 1, scores of a few units.

    Args:
        raw: take pixels in 0..255, with the scaling folded into the first layer.
        inside: take them with the scaling as nodes of the graph.
        biases: give the first layer biases.
        classes: scores; with 1 there are none.
    """
    kernel, shift = random(ROWS, 3, 3, 3) / 5, 0.5 * random(ROWS, seed=1)
    if raw:
        shift = shift - (MEAN / STD) * kernel.sum(axis=(1, 2, 3))
        kernel = kernel / (255 * STD)
    constants = {"kernel": kernel, "rows": random(classes, ROWS, seed=2) * 4, "end": random(classes, seed=3)}
    read = ["kernel"]
    if biases:
        constants["shift"], read = shift.astype(np.float32), ["kernel", "shift"]
    nodes, source = [], "u"
    if inside:
        constants |= {"largest": np.float32(255), "mean": np.float32(MEAN), "std": np.float32(STD)}
        for operator, by, out in (("Div", "largest", "a"), ("Sub", "mean", "b"), ("Div", "std", "c")):
            nodes.append(node(operator, [source, by], [out]))
            source = out
    nodes += [
        node("Conv", [source, *read], ["maps"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["maps"], ["active"]),
        node("GlobalAveragePool", ["active"], ["pooled"]),
        node("Flatten", ["pooled"], ["flat"]),
        node("Gemm", ["flat", "rows", "end"], ["scores"], transB=1),
    ]
    return graph_of(nodes, {"u": (3, SIZE, SIZE)}, constants)


def range_of(path: Path) -> str | None:
    """The pixel range that is taken for a network's."""
    teacher = open_teacher(path)
    return made_up_inputs(teacher.model.inputs, 0, None, oddness(teacher)).guess


@pytest.mark.parametrize("options", [{}, {"classes": 1}], ids=str)
@pytest.mark.parametrize("scaled", [{"inside": True}, {"raw": True}], ids=str)
def test_a_network_that_takes_pixels_as_they_are_gets_them(tmp_path, options, scaled):
    assert range_of(saved(tmp_path, trained(**options, **scaled))) == RAW


# The ranges of about unit size differ by a factor of 2 to 4 in their spread, too little to tell for sure.
@pytest.mark.parametrize("options", [{}, {"classes": 1}, {"biases": False}], ids=str)
def test_a_network_trained_on_standardised_pixels_gets_none_in_0_to_255(tmp_path, options):
    assert str(range_of(saved(tmp_path, trained(**options)))).startswith("pixels as (pixel / 255 - 0")


def test_scores_before_a_softmax_tell_the_range_too(tmp_path):
    graph = trained()
    graph.graph.node.append(node("Softmax", ["scores"], ["parts"], axis=1))
    graph.graph.output[0].name = "parts"
    path = saved(tmp_path, onnx.shape_inference.infer_shapes(graph))
    assert str(range_of(path)).startswith("pixels as (pixel / 255 - 0")


@pytest.mark.parametrize("name", ["resnet20.onnx", "fashion_mlp.onnx"])
def test_the_networks_that_ship_here_take_pixels_as_they_are(name):
    assert range_of(ROOT / "models" / name) == RAW


@pytest.mark.skipif(not SHARED.exists(), reason="pretrained networks of ../shared are not there")
@pytest.mark.parametrize("name", ["cifar100_resnet20", "cifar10_resnet20", "cifar10_resnet20_optA"])
def test_pretrained_networks_on_standardised_pixels_do_not_take_them_as_they_are(name):
    assert str(range_of(SHARED / f"{name}.onnx")).startswith("pixels as (pixel / 255 - 0.")


def test_values_that_overflow_are_odd(tmp_path):
    teacher = open_teacher(saved(tmp_path, trained()))
    of = oddness(teacher)
    usual = np.random.default_rng(0).standard_normal((4, 3, SIZE, SIZE)).astype(np.float32)
    huge = np.full_like(usual, 3e38) * np.sign(usual)
    assert of({"u": usual}) < of({"u": 1e4 * usual}) < of({"u": huge}) == np.inf
