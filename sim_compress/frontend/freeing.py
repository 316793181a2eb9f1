"""Nodes whose constants name the file's batch size, made to hold for any."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.model import Shape
from sim_compress.model.maps import Array

# Nodes whose inputs line up axis by axis, the batch first.
ALIGNED = frozenset(
    {"Add", "Sub", "Mul", "Div", "Sum", "Mean", "Max", "Min", "Pow", "Mod", "Where", "Concat", "PRelu"}
    | {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And", "Or", "Xor"}
)
END = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Fixed:
    """A graph of fixed batch.

    Attributes:
        size: the batch.
        constants: tensor name -> value.
        shapes: tensor name -> shape with the batch, as far as known.
    """

    size: int
    constants: Mapping[str, onnx.TensorProto]
    shapes: Mapping[str, Shape]

    def constant(self, node: onnx.NodeProto, position: int) -> Array | None:
        """A constant input of a node, None where there is none."""
        if position >= len(node.input) or node.input[position] not in self.constants:
            return None
        return numpy_helper.to_array(self.constants[node.input[position]])


# New constants of a node by input position; those it keeps are left out.
Changed = Mapping[int, Array]


def free(node: onnx.NodeProto, fixed: Fixed) -> list[onnx.TensorProto]:
    """Rewrite a node whose constants name the batch; gives the new ones, to be stored."""
    if node.op_type in ALIGNED:
        changed = _one_sample(node, fixed)
    else:
        changed = RULES[node.op_type](node, fixed) if node.op_type in RULES else {}
    stored = []
    for position, values in changed.items():
        node.input[position] = f"{node.output[0]}:input{position}"
        stored.append(numpy_helper.from_array(values, node.input[position]))
    return stored


def _one_sample(node: onnx.NodeProto, fixed: Fixed) -> Changed:
    """Constants that repeat one sample, as that one sample."""
    rank = len(fixed.shapes.get(node.output[0], ()))
    values = {i: fixed.constant(node, i) for i in range(len(node.input))}
    return {
        i: v[:1]
        for i, v in values.items()
        if v is not None and fixed.size > 1 and v.ndim == rank > 0 and len(v) == fixed.size
        if (v == v[:1]).all()
    }


def _reshape(node: onnx.NodeProto, fixed: Fixed) -> Changed:
    target = fixed.constant(node, 1)
    if target is None or not target.size or target[0] != fixed.size:
        return {}
    # A 0 copies the axis, unless allowzero says that it is an empty one.
    kept = [a for a in node.attribute if a.name != "allowzero"]
    del node.attribute[:]
    node.attribute.extend(kept)
    return {1: np.concatenate([[0], target[1:]])}


def _expand(node: onnx.NodeProto, fixed: Fixed) -> Changed:
    target, rank = fixed.constant(node, 1), len(fixed.shapes.get(node.output[0], ()))
    if target is None or len(target) != rank or target[0] != fixed.size:
        return {}
    return {1: np.concatenate([[1], target[1:]])}


def _slice(node: onnx.NodeProto, fixed: Fixed) -> Changed:
    starts, ends, axes = (fixed.constant(node, i) for i in (1, 2, 3))
    if starts is None or ends is None:
        return {}
    places = np.arange(len(starts)) if axes is None else axes
    whole = (places == 0) & (starts == 0) & (ends == fixed.size)
    return {2: np.where(whole, END, ends.astype(np.int64))} if whole.any() else {}


def _resize(node: onnx.NodeProto, fixed: Fixed) -> Changed:
    """Sizes that name the batch as scales that do not."""
    sizes, shape = fixed.constant(node, 3), fixed.shapes.get(node.input[0])
    if sizes is None or shape is None or len(sizes) != len(shape) or sizes[0] != shape[0]:
        return {}
    del node.input[3:]
    return {2: np.array([_scale(*pair) for pair in zip(shape, sizes, strict=True)], np.float32)}


def _scale(before: int, after: int) -> np.float32:
    """The factor of a size, by which onnxruntime comes to the size itself."""
    scale = np.float32(after) / np.float32(before)
    return scale if int(scale * np.float32(before)) == after else np.nextafter(scale, np.float32(np.inf))


RULES: Mapping[str, Callable[[onnx.NodeProto, Fixed], Changed]] = {
    "Reshape": _reshape,
    "Expand": _expand,
    "Slice": _slice,
    "Resize": _resize,
}


def repeat_joined_constants(graph: onnx.GraphProto, activations: Collection[str]) -> None:
    """Repeat each constant of one sample that is joined to activations as often as there are samples."""
    constants = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes, batches = [], set()
    for node in graph.node:
        joined = [n for n in node.input if n in activations]
        parts = [i for i, n in enumerate(node.input) if n in constants] if node.op_type == "Concat" else []
        for position in parts if joined else ():
            batch = f"{joined[0]}:batch"
            if batch not in batches:
                batches.add(batch)
                nodes += _batch_of(joined[0], batch, graph)
            name = f"{node.output[0]}:input{position}"
            tail = numpy_helper.from_array(
                np.array(constants[node.input[position]].shape[1:], np.int64), f"{name}:features"
            )
            graph.initializer.append(tail)
            nodes.append(helper.make_node("Concat", [batch, tail.name], [f"{name}:shape"], axis=0))
            nodes.append(helper.make_node("Expand", [node.input[position], f"{name}:shape"], [f"{name}:all"]))
            node.input[position] = f"{name}:all"
        nodes.append(node)
    if batches:
        copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
        del graph.node[:]
        graph.node.extend(copies)


def _batch_of(tensor: str, batch: str, graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that give the number of samples of a tensor, (1,)."""
    graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), f"{batch}:axis"))
    return [
        helper.make_node("Shape", [tensor], [f"{batch}:sizes"]),
        helper.make_node("Gather", [f"{batch}:sizes", f"{batch}:axis"], [batch]),
    ]
