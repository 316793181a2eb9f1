"""Contractions (Einsum, products with stacks of matrices) as transposes, reshapes and tied rows.

Every axis has a label, as in Einsum; the first axis of an activation is the batch. An axis of both operands
is shared where the result has it and contracted where it has not; an axis of one operand is free where the
result has it, and else is summed beforehand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.model import Shape
from sim_compress.model.maps import Array

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Operand:
    """One side of a contraction: a tensor of the graph, or a constant."""

    labels: Labels
    sizes: Shape
    tensor: str = ""
    values: Array | None = None


@dataclass(eq=False)
class Writer:
    """The nodes that take the place of one node, whose name the one with parameters keeps."""

    node: onnx.NodeProto
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def add(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        """A node with one output, whose name it gives."""
        output = f"{self.node.output[0]}:step{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def constant(self, values: Array) -> str:
        name = f"{self.node.output[0]}:constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def arranged(self, tensor: str, labels: Labels, order: Labels) -> str:
        """Axes in another order of their labels."""
        if labels == order:
            return tensor
        return self.add("Transpose", [tensor], perm=[labels.index(label) for label in order])

    def reshaped(self, tensor: str, sizes: Sequence[int]) -> str:
        """Another shape behind the batch axis."""
        return self.add("Reshape", [tensor, self.constant(np.array([0, *sizes], np.int64))])

    def without(self, operand: Operand, gone: Labels) -> Operand:
        """An operand summed over axes, which leave."""
        if not gone:
            return operand
        axes = tuple(operand.labels.index(a) for a in gone)
        labels = tuple(a for a in operand.labels if a not in gone)
        sizes = tuple(s for a, s in zip(operand.labels, operand.sizes, strict=True) if a not in gone)
        if operand.values is not None:
            return Operand(labels, sizes, values=operand.values.sum(axis=axes))
        if self.opset < 13:
            return Operand(labels, sizes, self.add("ReduceSum", [operand.tensor], axes=axes, keepdims=0))
        inputs = [operand.tensor, self.constant(np.array(axes, np.int64))]
        return Operand(labels, sizes, self.add("ReduceSum", inputs, keepdims=0))


def contract(writer: Writer, operands: Sequence[Operand], result: Labels) -> None:
    """Write the nodes of a contraction of one or two operands, one of them an activation."""
    summed = []
    for operand in operands:
        others = {a for o in operands if o is not operand for a in o.labels}
        gone = tuple(a for a in operand.labels if a not in result and a not in others)
        summed.append(writer.without(operand, gone))
    x, *rest = sorted(summed, key=lambda o: o.values is not None)
    if not rest:
        end = writer.arranged(x.tensor, x.labels, result)
    elif rest[0].values is None:
        end = _product(writer, x, rest[0], result)
    elif set(rest[0].labels) <= set(result) & set(x.labels):
        end = _scaled(writer, x, rest[0], result)
    else:
        end = _rows(writer, x, rest[0], result)
    writer.add("Identity", [end])
    writer.nodes[-1].output[0] = writer.node.output[0]


def _scaled(writer: Writer, x: Operand, constant: Operand, result: Labels) -> str:
    """The product with a constant entry by entry."""
    assert constant.values is not None
    order = [constant.labels.index(a) for a in result if a in constant.labels]
    shape = [constant.sizes[constant.labels.index(a)] if a in constant.labels else 1 for a in result]
    factor = writer.constant(constant.values.transpose(order).reshape(shape))
    return writer.add("Mul", [writer.arranged(x.tensor, x.labels, result), factor])


def _split(x: Operand, y: Operand, result: Labels) -> tuple[Labels, Labels, Labels, Labels]:
    """Labels that are shared behind the batch, contracted, free in x, free in y."""
    shared = tuple(a for a in result[1:] if a in x.labels and a in y.labels)
    contracted = tuple(a for a in x.labels if a in y.labels and a not in result)
    free = tuple(a for a in x.labels[1:] if a in result and a not in shared)
    return shared, contracted, free, tuple(a for a in y.labels if a in result and a not in x.labels)


def _rows(writer: Writer, x: Operand, constant: Operand, result: Labels) -> str:
    """Tied rows: a convolution whose channels are the contracted axes, in a group for each shared entry."""
    sizes = dict(zip((*x.labels, *constant.labels), (*x.sizes, *constant.sizes), strict=True))
    shared, contracted, free, rows = _split(x, constant, result)

    def size(labels: Labels) -> int:
        return prod(sizes[a] for a in labels)

    order = tuple(constant.labels.index(a) for a in (*shared, *rows, *contracted))
    assert constant.values is not None
    weight = constant.values.transpose(order).reshape(size(shared) * size(rows), size(contracted), 1)
    channels = writer.arranged(x.tensor, x.labels, (x.labels[0], *shared, *contracted, *free))
    flat = writer.reshaped(channels, (size(shared) * size(contracted), size(free)))
    product = writer.add("Conv", [flat, writer.constant(weight)], writer.node.name, group=size(shared))
    axes = (result[0], *shared, *rows, *free)
    return writer.arranged(writer.reshaped(product, [sizes[a] for a in axes[1:]]), axes, result)


def _product(writer: Writer, x: Operand, y: Operand, result: Labels) -> str:
    """The matrix product of two activations, in stacks of the shared entries."""
    sizes = dict(zip((*x.labels, *y.labels), (*x.sizes, *y.sizes), strict=True))
    shared, contracted, left, right = _split(x, y, result)

    def stacked(operand: Operand, before: Labels, after: Labels) -> str:
        order = (result[0], *shared, *before, *after)
        shape = [prod(sizes[a] for a in part) for part in (shared, before, after)]
        return writer.reshaped(writer.arranged(operand.tensor, operand.labels, order), shape)

    both = [stacked(x, left, contracted), stacked(y, contracted, right)]
    product = writer.add("MatMul", both, writer.node.name)
    axes = (result[0], *shared, *left, *right)
    return writer.arranged(writer.reshaped(product, [sizes[a] for a in axes[1:]]), axes, result)


def contracted(
    node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape], opset: int
) -> Writer | None:
    """What a node becomes, None where it is no such contraction or stays as it is.

    Args:
        constants: the graph's constants by name.
        shapes: per-sample shapes of its activations.
    """
    known = [n in constants or n in shapes for n in node.input]
    if node.op_type not in ("Einsum", "MatMul") or not all(known):
        return None
    label = _einsum_labels if node.op_type == "Einsum" else _matmul_labels
    labels = label(node, constants, shapes)
    if labels is None:
        return None
    *inputs, result = labels
    operands = [_operand(n, a, constants, shapes) for n, a in zip(node.input, inputs, strict=True)]
    sizes: dict[str, int] = {}
    batch = {o.labels[0] for o in operands if o.values is None}
    if any(sizes.setdefault(a, s) != s for o in operands for a, s in zip(o.labels, o.sizes, strict=True)):
        return None
    inside = {a for o in operands for a in o.labels[o.values is None :]}
    twice = any(len(set(o.labels)) < len(o.labels) for o in operands)
    if len(batch) != 1 or batch & inside or result[:1] != (*batch,) or twice:
        return None
    writer = Writer(node, opset)
    contract(writer, operands, result)
    return writer


def _operand(
    name: str, labels: Labels, constants: Mapping[str, Array], shapes: Mapping[str, Shape]
) -> Operand:
    """An operand; axes of constants without a label are of size 1 and leave."""
    if name not in constants:
        return Operand(labels, (0, *shapes[name]), name)
    values = constants[name]
    sizes = tuple(size for size, label in zip(values.shape, labels, strict=True) if label)
    return Operand(tuple(a for a in labels if a), sizes, values=values.reshape(sizes))


def _rank(name: str, constants: Mapping[str, Array], shapes: Mapping[str, Shape]) -> int:
    return constants[name].ndim if name in constants else len(shapes[name]) + 1


def _einsum_labels(
    node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]
) -> list[Labels] | None:
    """Labels of the operands and of the result, None where there are more than two operands."""
    equation = next(a.s.decode() for a in node.attribute if a.name == "equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(node.input) or len(terms) > 2 or all(n in constants for n in node.input):
        return None
    letters = left.replace(",", "").replace(".", "")
    if not arrow:
        once = sorted(a for a in set(letters) if letters.count(a) == 1)
        right = ("..." if "..." in left else "") + "".join(once)
    ranks = [_rank(n, constants, shapes) for n in node.input]
    more = max(rank - len(t.replace(".", "")) for rank, t in zip(ranks, terms, strict=True))

    def spelled(term: str, count: int) -> Labels:
        before, dots, after = term.partition("...")
        hidden = tuple(f"...{i}" for i in range(more - count, more)) if dots else ()
        return (*before, *hidden, *after)

    own = [rank - len(t.replace(".", "")) for rank, t in zip(ranks, terms, strict=True)]
    return [*(spelled(t, count) for t, count in zip(terms, own, strict=True)), spelled(right, more)]


def _matmul_labels(
    node: onnx.NodeProto, constants: Mapping[str, Array], shapes: Mapping[str, Shape]
) -> list[Labels] | None:
    """Labels of a product with a stack of matrices or a vector; None where it is with one matrix."""
    side = next((i for i, n in enumerate(node.input) if n in constants), None)
    if side is None or node.input[1 - side] in constants:
        return None
    values, rank = constants[node.input[side]], len(shapes[node.input[1 - side]]) + 1
    lead = values.shape[:-2]
    if rank < 2 or len(lead) > rank - 2 or (values.ndim > 1 and max(lead, default=1) == 1):
        return None
    stack = tuple(f"stack{i}" for i in range(rank - 2))
    x = (*stack, "k", "j") if side == 0 else (*stack, "i", "k")
    own = ("k",) if values.ndim == 1 else ("i", "k") if side == 0 else ("k", "j")
    offset = rank - 2 - len(lead)
    constant = tuple(a if s > 1 else "" for a, s in zip(stack[offset:], lead, strict=True)) + own
    result = tuple(a for a in (*stack, "i", "j") if a in x or a in own)
    return [constant, x, result] if side == 0 else [x, constant, result]


def decompose(graph: onnx.GraphProto, shapes: Mapping[str, Shape], opset: int) -> bool:
    """Rewrite the contractions of a graph; whether there were any."""
    stored = {i.name: i for i in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for node in graph.node:
        used = [n for n in node.input if n in stored] if node.op_type in ("Einsum", "MatMul") else []
        writer = contracted(node, {n: numpy_helper.to_array(stored[n]) for n in used}, shapes, opset)
        nodes += [node] if writer is None else writer.nodes
        constants += [] if writer is None else writer.constants
    if not constants and len(nodes) == len(graph.node):
        return False
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    graph.initializer.extend(constants)
    return True
