"""Operators of other domains that are several standard ones in one: as those.

onnxruntime's optimiser joins nodes (com.microsoft), scikit-learn's exporter has steps of its own
(ai.onnx.ml).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend.weights import Weights, to_array
from sim_compress.model.maps import Array

# Activations of fused nodes, with the names of the attributes that hold their parameters in order.
ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "LeakyRelu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Clip": ("min", "max"),
}


class _Nodes:
    """The nodes that take the place of one."""

    def __init__(
        self,
        graph: onnx.GraphProto,
        node: onnx.NodeProto,
        shapes: Mapping[str, Sequence[int]],
        weights: Weights,
    ) -> None:
        self.graph, self.node, self.made = graph, node, list[onnx.NodeProto]()
        self.shapes, self.weights = shapes, weights
        self.attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in node.attribute}

    def add(
        self, kind: str, inputs: Sequence[str], output: str = "", name: str = "", **attributes: Any
    ) -> str:
        output = output or f"{self.node.output[0]}:part{len(self.made)}"
        self.made.append(helper.make_node(kind, list(inputs), [output], name, **attributes))
        return output

    def constant(self, values: Array) -> str:
        name = f"{self.node.output[0]}:constant{len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    @property
    def result(self) -> str:
        return self.node.output[0]


def _fused(kind: str) -> Callable[[_Nodes], bool]:
    """A convolution or product, a sum with a further input, and an activation."""

    def rule(nodes: _Nodes) -> bool:
        name = nodes.attributes.pop("activation", b"").decode()
        # A convolution lists them, a product names each.
        named = [nodes.attributes.pop(f"activation_{n}", None) for n in ("alpha", "beta", "gamma")]
        given = [value for value in named if value is not None]
        parameters = list(nodes.attributes.pop("activation_params", given))
        if name and (name not in ACTIVATIONS or len(parameters) > len(ACTIVATIONS[name])):
            return False
        inputs = list(nodes.node.input)
        added = inputs[3] if kind == "Conv" and len(inputs) > 3 else ""
        steps = [s for s in ("sum" if added else "", name) if s]
        z = nodes.add(kind, inputs[:3], "" if steps else nodes.result, nodes.node.name, **nodes.attributes)
        if added:
            z = nodes.add("Add", [z, added], "" if name else nodes.result)
        if name == "Clip":
            bounds = [nodes.constant(np.array(p, np.float32)) for p in parameters]
            nodes.add("Clip", [z, *bounds], nodes.result)
        elif name:
            nodes.add(name, [z], nodes.result, **dict(zip(ACTIVATIONS[name], parameters, strict=False)))
        return True

    return rule


def _gelu(nodes: _Nodes) -> bool:
    x, *bias = nodes.node.input
    summed = nodes.add("Add", [x, *bias]) if bias else x
    half = nodes.constant(np.array(0.5, np.float32))
    root = nodes.constant(np.array(np.sqrt(0.5), np.float32))
    one = nodes.constant(np.array(1, np.float32))
    risen = nodes.add("Add", [nodes.add("Erf", [nodes.add("Mul", [summed, root])]), one])
    nodes.add("Mul", [nodes.add("Mul", [summed, risen]), half], nodes.result, nodes.node.name)
    return True


def _quick_gelu(nodes: _Nodes) -> bool:
    alpha = nodes.constant(np.array(nodes.attributes.get("alpha", 1.702), np.float32))
    x = nodes.node.input[0]
    gate = nodes.add("Sigmoid", [nodes.add("Mul", [x, alpha])])
    nodes.add("Mul", [x, gate], nodes.result, nodes.node.name)
    return True


def _scaler(nodes: _Nodes) -> bool:
    offset, scale = (
        np.array(nodes.attributes.get(k, d), np.float32) for k, d in (("offset", 0), ("scale", 1))
    )
    centred = nodes.add("Sub", [nodes.node.input[0], nodes.constant(offset)])
    nodes.add("Mul", [centred, nodes.constant(scale)], nodes.result, nodes.node.name)
    return True


def _extractor(nodes: _Nodes) -> bool:
    """Entries of the last axis; of a list, as its one row."""
    table, places = nodes.node.input
    known = {i.name: i for i in nodes.graph.initializer}
    if table in known and len(known[table].dims) == 1:
        table = nodes.constant(to_array(known[table], nodes.weights)[None])
    flat = nodes.add("Reshape", [places, nodes.constant(np.array([-1], np.int64))])
    nodes.add("Gather", [table, flat], nodes.result, nodes.node.name, axis=-1)
    return True


def _grouped_attention(nodes: _Nodes) -> bool:
    """Causal attention of a whole text, several heads of queries for each one of keys and values.

    q (N, T, G R d)    (N, G, R, T, d)      k (N, T, G d)    (N, G, 1, d, T)      product (N, G, R, T, T)
    """
    a = nodes.attributes
    heads, groups = a.get("num_heads", 1), a.get("kv_num_heads", 1)
    given = [bool(n) for n in nodes.node.input]
    shape = nodes.shapes.get(nodes.node.input[0])
    special = a.get("do_rotary", 0) or a.get("softcap", 0) or a.get("local_window_size", -1) > 0
    if special or not all(given[:3]) or any(given[3:5]) or any(given[7:]) or shape is None or heads % groups:
        return False
    tokens, width = shape[1:]
    if tokens < 1 or width < 1:
        return False
    depth, shared = width // heads, heads // groups

    def split(name: str, sizes: Sequence[int], perm: Sequence[int]) -> str:
        cut = nodes.add("Reshape", [name, nodes.constant(np.array([0, 0, *sizes], np.int64))])
        return nodes.add("Transpose", [cut], perm=list(perm))

    q, k, v = nodes.node.input[:3]
    queries = split(q, (groups, shared, depth), (0, 2, 3, 1, 4))
    keys = split(k, (groups, 1, depth), (0, 2, 3, 4, 1))
    values = split(v, (groups, 1, depth), (0, 2, 3, 1, 4))
    scale = nodes.constant(np.array(a.get("scale", 0) or depth**-0.5, np.float32))
    scores = nodes.add("Mul", [nodes.add("MatMul", [queries, keys]), scale])
    mask = nodes.constant(np.triu(np.full((tokens, tokens), -np.inf, np.float32), 1))
    shares = nodes.add("Softmax", [nodes.add("Add", [scores, mask])], axis=-1)
    mixed = nodes.add("Transpose", [nodes.add("MatMul", [shares, values])], perm=[0, 3, 1, 2, 4])
    whole = nodes.constant(np.array([0, 0, width], np.int64))
    nodes.add("Reshape", [mixed, whole], nodes.result, nodes.node.name)
    return True


RULES: dict[str, Callable[[_Nodes], bool]] = {
    "com.microsoft.FusedConv": _fused("Conv"),
    "com.microsoft.FusedGemm": _fused("Gemm"),
    "com.microsoft.Gelu": _gelu,
    "com.microsoft.BiasGelu": _gelu,
    "com.microsoft.QuickGelu": _quick_gelu,
    "com.microsoft.GroupQueryAttention": _grouped_attention,
    "ai.onnx.ml.Scaler": _scaler,
    "ai.onnx.ml.ArrayFeatureExtractor": _extractor,
}


def standard(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """A copy in which known nodes of other domains stand as standard ones; the file itself without any."""
    if not any(f"{n.domain}.{n.op_type}" in RULES for n in model.graph.node):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph, made, shapes = copy.graph, list[onnx.NodeProto](), _shapes(model)
    for node in model.graph.node:
        rule, nodes = RULES.get(f"{node.domain}.{node.op_type}"), _Nodes(graph, node, shapes, weights)
        made += nodes.made if rule is not None and rule(nodes) else [node]
    del graph.node[:]
    graph.node.extend(made)
    domains = {n.domain for n in graph.node} | {""}
    kept = [o for o in copy.opset_import if o.domain in domains or o.domain == "ai.onnx"]
    del copy.opset_import[:]
    copy.opset_import.extend(kept)
    return copy


def _shapes(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Sizes of tensors as far as they follow, 0 for an open one."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info)}
    return {n: [d.dim_value for d in k.shape.dim] for n, k in kinds.items() if k.HasField("shape")}
