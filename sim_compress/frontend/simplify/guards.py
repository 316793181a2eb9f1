"""Guards against rows of scores that are masked whole: Where(IsNaN(softmax), 0, softmax).

The softmax of a row of -inf is not a number. Where no constant of the graph is infinite there is no such row,
and the guard goes. Elsewhere it asks for what it means, with the infinities made finite:

    IsNaN(Softmax(z, axis))     ->     max(z, axis) <= -2^123
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend.nodes import axes_are_input
from sim_compress.frontend.simplify.infinities import INFINITE, infinite_constants
from sim_compress.frontend.weights import Weights

# Softmax takes one axis from this operator set on.
SOFTMAX_OPSET = 13


def guards(graph: onnx.GraphProto, opset: int, weights: Weights) -> None:
    """Write the guards of a graph as comparisons, or leave them out."""
    softmaxes = {n.output[0]: n for n in graph.node if n.op_type == "Softmax" and opset >= SOFTMAX_OPSET}
    guarded = [n for n in graph.node if n.op_type == "IsNaN" and n.input[0] in softmaxes]
    if not guarded:
        return
    needed = any(True for _ in infinite_constants(graph, weights)) or _fills_with_infinity(graph)
    replaced: dict[str, list[onnx.NodeProto]] = {}
    for node in guarded:
        name = node.output[0]
        if needed:
            replaced[name] = _compared(graph, node, softmaxes[node.input[0]], opset)
        else:
            graph.initializer.append(numpy_helper.from_array(np.array(False), name))
            replaced[name] = []
    nodes = [new for n in graph.node for new in replaced.get(n.output[0] if n.output else "", [n])]
    if not needed:
        nodes = [_unguarded(n, set(replaced)) for n in nodes]
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _fills_with_infinity(graph: onnx.GraphProto) -> bool:
    fillers = (a.t for n in graph.node if n.op_type == "ConstantOfShape" for a in n.attribute)
    return any(
        np.isinf(numpy_helper.to_array(t)).any() for t in fillers if t.data_type == onnx.TensorProto.FLOAT
    )


def _compared(
    graph: onnx.GraphProto, node: onnx.NodeProto, softmax: onnx.NodeProto, opset: int
) -> list[onnx.NodeProto]:
    """Whether the largest score of a row is a masked one."""
    axis = next((a.i for a in softmax.attribute if a.name == "axis"), -1)
    name = node.output[0]
    bound = numpy_helper.from_array(np.array(-INFINITE / 2, np.float32), f"{name}:masked")
    graph.initializer.append(bound)
    largest = f"{name}:largest"
    if axes_are_input("ReduceMax", opset):
        axes = numpy_helper.from_array(np.array([axis], np.int64), f"{name}:axes")
        graph.initializer.append(axes)
        reduced = helper.make_node("ReduceMax", [softmax.input[0], axes.name], [largest], largest, keepdims=1)
    else:
        reduced = helper.make_node(
            "ReduceMax", [softmax.input[0]], [largest], largest, axes=[axis], keepdims=1
        )
    return [reduced, helper.make_node("LessOrEqual", [largest, bound.name], [name], node.name)]


def _unguarded(node: onnx.NodeProto, never: set[str]) -> onnx.NodeProto:
    """A choice by a condition that never holds, as the other side of it."""
    if node.op_type != "Where" or node.input[0] not in never:
        return node
    return helper.make_node("Identity", [node.input[2]], node.output, node.name)
