"""Contractions (Einsum, products with stacks of matrices) as transposes, reshapes and tied rows.

Every axis of one sample has a label, as in Einsum. An axis of both operands is shared where the result has it
and contracted where it has not; an axis of one operand is free where the result has it, and else is summed
beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.step import Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.nodes import axes_are_input
from sim_compress.frontend.refusal import RefusalError
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


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes that take the place of one node, whose name the one with parameters keeps."""

    writer: Writer
    step: Step

    def add(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: object) -> str:
        """A node with one output, whose name it gives."""
        output = f"{self.step.output}:step{len(self.writer.nodes)}"
        return self.writer.add(kind, inputs, output, name, **attributes)

    def part(self, kind: str, inputs: Sequence[str], **attributes: object) -> str:
        """A node that holds some of the parameters; names of nodes are unique."""
        name = self.step.node.name
        return self.add(kind, inputs, name and f"{name}/{len(self.writer.nodes)}", **attributes)

    def constant(self, values: Array) -> str:
        return self.writer.constant(values, self.step.output)

    def arranged(self, tensor: str, labels: Labels, order: Labels) -> str:
        """Axes in another order of their labels."""
        if labels == order:
            return tensor
        first = [0] * self.writer.shift
        perm = [*first, *self.writer.axes([labels.index(label) for label in order])]
        return self.add("Transpose", [tensor], perm=perm)

    def reshaped(self, tensor: str, sizes: Sequence[int]) -> str:
        return self.add("Reshape", [tensor, self.constant(np.array(self.writer.sizes(sizes), np.int64))])

    def without(self, operand: Operand, gone: Labels) -> Operand:
        """An operand summed over axes, which leave."""
        if not gone:
            return operand
        axes = tuple(operand.labels.index(a) for a in gone)
        labels = tuple(a for a in operand.labels if a not in gone)
        sizes = tuple(s for a, s in zip(operand.labels, operand.sizes, strict=True) if a not in gone)
        if operand.values is not None:
            return Operand(labels, sizes, values=operand.values.sum(axis=axes))
        moved = self.writer.axes(axes)
        if not axes_are_input("ReduceSum", self.step.opset):
            return Operand(labels, sizes, self.add("ReduceSum", [operand.tensor], axes=moved, keepdims=0))
        inputs = [operand.tensor, self.constant(np.array(moved, np.int64))]
        return Operand(labels, sizes, self.add("ReduceSum", inputs, keepdims=0))


def contract(writer: Writer, step: Step, operands: Sequence[Operand], result: Labels) -> None:
    """Write the nodes of a contraction of one or two operands, one of them an activation.

    Raises:
        RefusalError: an axis of size 1 is stretched.
    """
    nodes = Nodes(writer, step)
    sizes: dict[str, int] = {}
    for operand in operands:
        for label, size in zip(operand.labels, operand.sizes, strict=True):
            if sizes.setdefault(label, size) != size:
                raise RefusalError("stretches an axis of an activation in a contraction")
    summed = []
    for operand in operands:
        others = {a for o in operands if o is not operand for a in o.labels}
        gone = tuple(a for a in operand.labels if a not in result and a not in others)
        summed.append(nodes.without(operand, gone))
    x, *rest = sorted(summed, key=lambda o: o.values is not None)
    if not rest:
        end = nodes.arranged(x.tensor, x.labels, result)
    elif rest[0].values is None:
        end = _product(nodes, x, rest[0], result)
    elif set(rest[0].labels) <= set(result) & set(x.labels):
        end = _scaled(nodes, x, rest[0], result)
    else:
        end = _rows(nodes, x, rest[0], result)
    writer.add("Identity", [end], step.output)


def _scaled(nodes: Nodes, x: Operand, constant: Operand, result: Labels) -> str:
    """The product with a constant entry by entry."""
    assert constant.values is not None
    order = [constant.labels.index(a) for a in result if a in constant.labels]
    shape = [constant.sizes[constant.labels.index(a)] if a in constant.labels else 1 for a in result]
    factor = nodes.constant(constant.values.transpose(order).reshape(shape))
    return nodes.add("Mul", [nodes.arranged(x.tensor, x.labels, result), factor])


def _split(x: Operand, y: Operand, result: Labels) -> tuple[Labels, Labels, Labels, Labels]:
    """Labels that are shared, contracted, free in x, free in y."""
    shared = tuple(a for a in result if a in x.labels and a in y.labels)
    contracted = tuple(a for a in x.labels if a in y.labels and a not in result)
    free = tuple(a for a in x.labels if a in result and a not in shared)
    return shared, contracted, free, tuple(a for a in y.labels if a in result and a not in x.labels)


def _rows(nodes: Nodes, x: Operand, constant: Operand, result: Labels) -> str:
    """Tied rows: a convolution whose channels are the contracted axes, in a group for each shared entry."""
    sizes = dict(zip((*x.labels, *constant.labels), (*x.sizes, *constant.sizes), strict=True))
    shared, contracted, free, rows = _split(x, constant, result)

    def size(labels: Labels) -> int:
        return prod(sizes[a] for a in labels)

    order = tuple(constant.labels.index(a) for a in (*shared, *rows, *contracted))
    assert constant.values is not None
    weight = constant.values.transpose(order).reshape(size(shared) * size(rows), size(contracted), 1)
    channels = nodes.arranged(x.tensor, x.labels, (*shared, *contracted, *free))
    flat = nodes.reshaped(channels, (size(shared) * size(contracted), size(free)))
    name = nodes.step.node.name
    product = nodes.add("Conv", [flat, nodes.constant(weight)], name, group=size(shared))
    axes = (*shared, *rows, *free)
    return nodes.arranged(nodes.reshaped(product, [sizes[a] for a in axes]), axes, result)


def _product(nodes: Nodes, x: Operand, y: Operand, result: Labels) -> str:
    """The matrix product of two activations, in stacks of the shared entries."""
    sizes = dict(zip((*x.labels, *y.labels), (*x.sizes, *y.sizes), strict=True))
    shared, contracted, left, right = _split(x, y, result)

    def stacked(operand: Operand, before: Labels, after: Labels) -> str:
        shape = [prod(sizes[a] for a in part) for part in (shared, before, after)]
        order = (*shared, *before, *after)
        return nodes.reshaped(nodes.arranged(operand.tensor, operand.labels, order), shape)

    both = [stacked(x, left, contracted), stacked(y, contracted, right)]
    product = nodes.add("MatMul", both, nodes.step.node.name)
    axes = (*shared, *left, *right)
    return nodes.arranged(nodes.reshaped(product, [sizes[a] for a in axes]), axes, result)


def write_contraction(
    writer: Writer, step: Step, sides: Sequence[Placed], labels: Sequence[Labels], result: Placed
) -> None:
    """A contraction of labelled axes, without the axis of the samples."""
    *inside, after = labels
    batch = None if result.batch is None or result.is_merged else after[result.batch]
    sizes = dict(zip(after, result.shape, strict=True))
    operands = [
        _operand(writer, step, i, x, own, batch, sizes)
        for i, (x, own) in enumerate(zip(sides, inside, strict=True))
    ]
    contract(writer, step, operands, tuple(a for a in after if a != batch))


def _operand(
    writer: Writer,
    step: Step,
    position: int,
    x: Placed,
    labels: Labels,
    batch: str | None,
    sizes: dict[str, int],
) -> Operand:
    """An operand without the axis of the samples; axes of size 1 that are stretched leave too."""
    name = step.node.input[position]
    if x.depends:
        raise RefusalError(f"the value of its input {name!r} depends on the number of samples")
    stays = [
        a != batch and not (s == 1 and sizes.get(a, 1) > 1) for a, s in zip(labels, x.shape, strict=True)
    ]
    kept = tuple(a for a, stay in zip(labels, stays, strict=True) if stay)
    shape = tuple(s for s, stay in zip(x.shape, stays, strict=True) if stay)
    if not x.is_known:
        tensor = (
            name
            if shape == x.sample_shape
            else writer.reshaped(name, shape, f"{step.output}:narrow{position}")
        )
        return Operand(kept, shape, tensor)
    value = x.value
    assert value is not None
    return Operand(kept, shape, values=value.reshape(shape))
