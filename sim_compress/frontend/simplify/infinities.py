"""Infinite constants of masks, as finite ones that leave no more of what they mask.

    scores + [0, -inf]    softmax gives exp(-inf) = 0; so it does for any number below -104 of the others

A state is a finite number, and so is what an artifact holds. Infinite weights stay, and are refused.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from sim_compress.frontend.weights import Weights, to_array
from sim_compress.model.maps import Array

# 2^124: below the largest float32 by enough for several masks to be added, beyond any score.
INFINITE = 2.0**124
# Operators whose constants may be masks.
MASKED_BY = frozenset(
    {"Add", "Concat", "Expand", "Gather", "Identity", "Max", "Min", "Sub", "Sum", "Tile", "Trilu", "Where"}
)
# Operators whose constants are weights.
PARAMETRIC = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
REARRANGED_BY = frozenset({"Cast", "Gather", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})


def infinities(graph: onnx.GraphProto, _: int, weights: Weights) -> None:
    """Make the infinite constants of masks finite."""
    shown = _shown(graph)
    for tensor, readers in infinite_constants(graph, weights):
        if readers <= MASKED_BY and tensor.name not in shown:
            tensor.CopyFrom(numpy_helper.from_array(finite(to_array(tensor, weights)), tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if (
                node.op_type == "ConstantOfShape"
                and attribute.name == "value"
                and node.output[0] not in shown
            ):
                value = numpy_helper.to_array(attribute.t)
                attribute.t.CopyFrom(numpy_helper.from_array(finite(value)))


def _shown(graph: onnx.GraphProto) -> set[str]:
    """Tensors whose infinite numbers are those of an output."""
    names = {o.name for o in graph.output}
    for node in reversed(graph.node):
        if node.op_type in MASKED_BY | REARRANGED_BY and names.intersection(node.output):
            names.update(node.input)
    return names


def infinite_constants(
    graph: onnx.GraphProto, weights: Weights
) -> Iterator[tuple[onnx.TensorProto, set[str]]]:
    """The constants that hold an infinite number, and the operators that read them; weights are left out."""
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    for tensor in graph.initializer:
        own = readers.get(tensor.name, set())
        if tensor.data_type != onnx.TensorProto.FLOAT or (own and own <= PARAMETRIC):
            continue
        if np.isinf(to_array(tensor, weights)).any():
            yield tensor, own


def finite(values: Array) -> Array:
    """Numbers with infinite ones as large ones."""
    if values.dtype.kind != "f":
        return values
    return np.where(np.isinf(values), np.copysign(values.dtype.type(INFINITE), values), values)
