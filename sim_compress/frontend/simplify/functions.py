"""Operators that ONNX itself defines by others (Attention, RotaryEmbedding, ...), as those others."""

from collections.abc import Container, Mapping
from typing import Any

import onnx
from onnx import TypeProto
from onnx.inliner import inline_local_functions

from sim_compress.frontend.nodes import STANDARD, standard_opset

# Functions that stand in a model under their own names until they are inlined.
DOMAIN = "sim_compress.expanded"
SCHEMA_ERRORS = (
    onnx.defs.SchemaError,
    onnx.shape_inference.InferenceError,
    RuntimeError,
    ValueError,
    TypeError,
)


def expanded(model: onnx.ModelProto, kept: Container[str]) -> onnx.ModelProto:
    """A copy without nodes that ONNX defines by others; the model itself where there are none.

    Args:
        kept: operators that stay as they are.
    """
    opset = standard_opset(model)
    chosen = [n for n in model.graph.node if _is_function(n, opset) and n.op_type not in kept]
    if not chosen:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(onnx.shape_inference.infer_shapes(model))
    types = _types(copy.graph)
    for number, node in enumerate(copy.graph.node):
        if _is_function(node, opset) and node.op_type not in kept:
            body = _body(node, opset, types)
            if body is not None:
                body.domain, body.name = DOMAIN, f"{node.op_type}{number}"
                for entry in body.opset_import:
                    # One of another operator set than the network's is not inlined.
                    entry.version = opset if entry.domain in STANDARD else entry.version
                copy.functions.append(body)
                node.domain, node.op_type = DOMAIN, body.name
    if not copy.functions:
        return model
    copy.opset_import.append(onnx.helper.make_opsetid(DOMAIN, 1))
    inlined = inline_local_functions(copy)
    return expanded(inlined, kept)


def _is_function(node: onnx.NodeProto, opset: int) -> bool:
    if node.domain not in STANDARD or not onnx.defs.has(node.op_type):
        return False
    try:
        schema = _schema(node, opset)
    except SCHEMA_ERRORS:
        return False
    return schema.has_function or schema.has_context_dependent_function


def _schema(node: onnx.NodeProto, opset: int) -> Any:
    """ONNX's definition of an operator, of which its own types know less than there is."""
    return onnx.defs.get_schema(node.op_type, opset, "")


def _types(graph: onnx.GraphProto) -> dict[str, TypeProto]:
    types = {v.name: v.type for v in (*graph.input, *graph.value_info, *graph.output)}
    stored = {
        i.name: onnx.helper.make_tensor_type_proto(i.data_type, list(i.dims)) for i in graph.initializer
    }
    return types | stored


def _body(node: onnx.NodeProto, opset: int, types: Mapping[str, TypeProto]) -> onnx.FunctionProto | None:
    """The definition of a node; None where it does not follow from what is known of its inputs."""
    schema = _schema(node, opset)
    try:
        if schema.has_context_dependent_function:
            versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
            inputs = [(types[n] if n else TypeProto()).SerializeToString() for n in node.input]
            data = schema.get_context_dependent_function_with_opset_version(
                max(versions), node.SerializeToString(), inputs
            )
        else:
            versions = [v for v in schema.function_opset_versions if v <= opset]
            data = schema.get_function_with_opset_version(max(versions))
    except (*SCHEMA_ERRORS, KeyError):
        return None
    body = onnx.FunctionProto()
    body.ParseFromString(data)
    return body
