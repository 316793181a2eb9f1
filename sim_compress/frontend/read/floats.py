"""Networks in half or double precision, computed in float32 as all states are."""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from sim_compress.frontend.weights import is_stub

FLOAT = onnx.TensorProto.FLOAT
OTHERS = frozenset({onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE})
# Attributes that name an element type.
TYPES = frozenset({"to", "dtype"})


def in_float32(model: onnx.ModelProto) -> None:
    """Turn every half or double precision tensor, type and cast of a model into float32, in place."""
    for graph in _graphs(model.graph):
        for tensor in graph.initializer:
            _convert(tensor)
        for value in (*graph.input, *graph.output, *graph.value_info):
            kind = value.type.tensor_type
            if kind.elem_type in OTHERS:
                kind.elem_type = FLOAT
        for attribute in (a for node in graph.node for a in node.attribute):
            if attribute.type == onnx.AttributeProto.TENSOR:
                _convert(attribute.t)
            elif attribute.name in TYPES and attribute.i in OTHERS:
                attribute.i = FLOAT


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _convert(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in OTHERS and is_stub(tensor):
        # Its values are in float32 already.
        tensor.data_type = FLOAT
    elif tensor.data_type in OTHERS:
        # Bounds beyond float32, as masks have them, become infinite.
        with np.errstate(over="ignore"):
            values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
