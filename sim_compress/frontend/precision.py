"""Networks in other floating-point types, as the float32 networks that they approximate or round."""

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

OTHER_FLOATS = (TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)
# Attributes that name the element type of a node's output.
TYPE_NAMES = ("to", "dtype")


def in_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with every float tensor in float32; itself where it has no other."""
    graphs = [model.graph, *_inner(model.graph)]
    if not any(_is_other(graph) for graph in graphs):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for graph in (copy.graph, *_inner(copy.graph)):
        for tensor in graph.initializer:
            _narrow(tensor)
        for value in (*graph.input, *graph.output):
            if value.type.tensor_type.elem_type in OTHER_FLOATS:
                value.type.tensor_type.elem_type = TensorProto.FLOAT
        del graph.value_info[:]
        for node in graph.node:
            for attribute in node.attribute:
                _convert(attribute)
    return copy


def _inner(graph: onnx.GraphProto) -> Iterable[onnx.GraphProto]:
    """Graphs in the attributes of nodes, at any depth."""
    for node in graph.node:
        for attribute in node.attribute:
            for part in (attribute.g, *attribute.graphs):
                if part.node:
                    yield part
                    yield from _inner(part)


def _is_other(graph: onnx.GraphProto) -> bool:
    types = [t.data_type for t in graph.initializer]
    types += [v.type.tensor_type.elem_type for v in (*graph.input, *graph.output)]
    for node in graph.node:
        for attribute in node.attribute:
            types += [attribute.t.data_type, *([attribute.i] if attribute.name in TYPE_NAMES else [])]
    return any(kind in OTHER_FLOATS for kind in types)


def _convert(attribute: onnx.AttributeProto) -> None:
    if attribute.HasField("t"):
        _narrow(attribute.t)
    if attribute.name in TYPE_NAMES and attribute.i in OTHER_FLOATS:
        attribute.i = TensorProto.FLOAT


def _narrow(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in OTHER_FLOATS:
        # What overflows is refused where it is a parameter.
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
