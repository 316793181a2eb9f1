"""Networks that mix samples, or whose result depends on how many there are, have no place for them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, question, refusal
from tests.frontend.graphs import node, random

FLOAT = onnx.TensorProto.FLOAT
SAMPLES = [
    node("Gemm", ["x", "w"], ["y"], "rows"),
    node("Shape", ["y"], ["sizes"]),
    node("Gather", ["sizes", "zero"], ["count"]),
    node("Range", ["zero", "count", "unit"], ["numbers"]),
]
CONSTANTS = {
    "w": random(8, 8),
    "zero": np.array(0),
    "unit": np.array(1),
    "first": np.array([0]),
    "second": np.array([1]),
    "last": np.array([-1]),
    "minus": np.array([-1]),
    "none": np.array([-(2**62)]),
    "big": np.array([2**62]),
    "two": np.array([2, 1]),
    "eight": np.array([8, -1]),
    "pairs": np.array([-1, 2, 8]),
    "table": random(20, 8),
    "one": np.ones((), np.float32),
    "wide": np.array([1, 4]),
}


@dataclass(frozen=True)
class Mixed:
    """Nodes that make `z` of (N, 8) rows, and what is said of them."""

    reason: str
    nodes: tuple[onnx.NodeProto, ...]


MIXED = {
    "the mean of the batch": Mixed(
        "acts along axis 0 of [N, 8], the batch axis",
        (node("ReduceMean", ["y"], ["m"], axes=[0]), node("Sub", ["y", "m"], ["z"])),
    ),
    "products of samples": Mixed(
        "multiplies the batch axis of [N, 8] with that of [8, N]",
        (node("Transpose", ["y"], ["t"]), node("MatMul", ["y", "t"], ["z"])),
    ),
    "a product over samples": Mixed(
        "sums over axis 1 of [8, N], the batch axis",
        (node("Transpose", ["y"], ["t"]), node("MatMul", ["t", "y"], ["z"])),
    ),
    "samples backwards": Mixed(
        "cuts axis 0 of [N, 8], the batch axis",
        (node("Slice", ["y", "last", "none", "first", "minus"], ["z"]),),
    ),
    "a running sum of samples": Mixed(
        "acts along axis 0 of [N, 8], the batch axis",
        (node("CumSum", ["y", "zero"], ["z"]),),
    ),
    "the first sample beside each": Mixed(
        "cuts axis 0 of [N, 8], the batch axis",
        (node("Slice", ["y", "first", "second"], ["f"]), node("Add", ["y", "f"], ["z"])),
    ),
    "the number of samples": Mixed(
        "depends on the number of samples",
        (node("Cast", ["count"], ["c"], to=FLOAT), node("Mul", ["y", "c"], ["z"])),
    ),
    "the number of the sample": Mixed(
        "depends on the number of samples, or on which sample it is",
        (
            node("Cast", ["numbers"], ["c"], to=FLOAT),
            node("Unsqueeze", ["c", "second"], ["u"]),
            node("Add", ["y", "u"], ["z"]),
        ),
    ),
    "samples regrouped": Mixed(
        "its target (8, N) mixes the batch axis of [N, 8] with others",
        (node("Reshape", ["y", "eight"], ["r"]), node("Relu", ["r"], ["z"])),
    ),
    "a softmax over samples": Mixed(
        "acts along axis 0 of [N, 8], the batch axis",
        (node("Softmax", ["y"], ["z"], axis=0),),
    ),
    "a learned row of the sample's number": Mixed(
        "looks up entries whose number depends on the number of samples",
        (node("Gather", ["table", "numbers"], ["e"]), node("Add", ["y", "e"], ["z"])),
    ),
    "the sample before": Mixed(
        "looks up entries of other samples",
        (
            node("Sub", ["numbers", "unit"], ["before"]),
            node("Gather", ["y", "before"], ["p"]),
            node("Add", ["y", "p"], ["z"]),
        ),
    ),
    "samples repeated in turn": Mixed(
        "repeats axis 0 of [N, 8], the batch axis",
        (node("Tile", ["y", "two"], ["z"]),),
    ),
    "samples against samples": Mixed(
        "its inputs have the batch axis in two places",
        (
            node("Unsqueeze", ["y", "first"], ["a"]),
            node("Unsqueeze", ["y", "second"], ["b"]),
            node("Mul", ["a", "b"], ["z"]),
        ),
    ),
    "the largest samples": Mixed(
        "acts along axis 0 of [N, 8], the batch axis",
        (node("ArgMax", ["y"], ["a"], axis=0, keepdims=1), node("Cast", ["a"], ["z"], to=FLOAT)),
    ),
    "samples joined with the first": Mixed(
        "cuts axis 0 of [N, 8], the batch axis",
        (node("Slice", ["y", "first", "second"], ["f"]), node("Concat", ["y", "f"], ["z"], axis=0)),
    ),
    "samples joined with themselves": Mixed(
        "joins along axis 0, the batch axis",
        (node("Concat", ["y", "y"], ["z"], axis=0),),
    ),
    "pairs of samples": Mixed(
        "its target leaves one size open, and 8 N entries do not divide by 16",
        (node("Reshape", ["y", "pairs"], ["z"]),),
    ),
    "a tensor that grows with the batch": Mixed(
        "depends on the number of samples",
        (
            node("Cast", ["sizes"], ["s"], to=FLOAT),
            node("ReduceSum", ["s", "first"], ["t"], keepdims=0),
            node("Add", ["y", "t"], ["z"]),
        ),
    ),
    "a window as wide as the batch": Mixed(
        "cuts from 0 to N, which the inputs decide",
        (
            node("Slice", ["sizes", "first", "second"], ["n"]),
            node("Slice", ["y", "first", "n", "second"], ["z"]),
        ),
    ),
    "a softmax that sees the batch": Mixed(
        "depends on the number of samples",
        (
            node("Cast", ["sizes"], ["s"], to=FLOAT),
            node("Softmax", ["s"], ["p"], axis=0),
            node("ReduceMax", ["p"], ["t"], keepdims=0),
            node("Add", ["y", "t"], ["z"]),
        ),
    ),
}


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED)
def test_a_network_that_mixes_samples_has_no_place_for_them(mixed: Mixed) -> None:
    asked = question([*SAMPLES, *mixed.nodes], {"x": Placed((1, 8), 0)}, CONSTANTS)
    assert mixed.reason in refusal(asked)


KEPT: dict[str, Callable[[], tuple[onnx.NodeProto, ...]]] = {
    "the sample itself by its number": lambda: (
        node("Gather", ["y", "numbers"], ["p"]),
        node("Add", ["y", "p"], ["z"]),
    ),
    "samples moved there and back": lambda: (
        node("Transpose", ["y"], ["t"]),
        node("Relu", ["t"], ["r"]),
        node("Transpose", ["r"], ["z"]),
    ),
    "all samples, by their number": lambda: (
        node("Slice", ["sizes", "first", "second"], ["n"]),
        node("Slice", ["y", "first", "n", "first"], ["z"]),
    ),
    "a shape divided by the number of samples": lambda: (
        node("Size", ["y"], ["all"]),
        node("Div", ["all", "count"], ["each"]),
        node("Unsqueeze", ["each", "first"], ["e"]),
        node("Concat", ["last", "e"], ["target"], axis=0),
        node("Reshape", ["y", "target"], ["z"]),
    ),
    "a choice that every batch decides alike": lambda: (
        node("Greater", ["count", "zero"], ["any"]),
        node("Where", ["any", "y", "one"], ["z"]),
    ),
}


@pytest.mark.parametrize("nodes", KEPT.values(), ids=KEPT)
def test_a_network_that_only_names_the_batch_keeps_samples_apart(
    nodes: Callable[[], tuple[onnx.NodeProto, ...]],
) -> None:
    asked = question([*SAMPLES, *nodes()], {"x": Placed((1, 8), 0)}, CONSTANTS)
    found = assert_placed(asked)
    assert str(found.tensors["z"]) == "[N, 8]"
