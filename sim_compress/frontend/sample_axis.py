"""A batch axis for a graph that has none: each of its axes becomes one of a sample's, behind a new first one.

For files whose batch is fixed and cannot be freed, or that never had one. Nodes that act along an axis act
along the next one; nodes whose own first axis is a batch of one (convolutions, pooling) get the new one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.registry import RefusalError, qualified_name
from sim_compress.model import Shape

SYMBOL = "N"
# An axis beyond is no number that a file means.
LARGEST_RANK = 64
# Shape of every tensor, in the file's own axes.
Shapes = Mapping[str, Shape]

# fmt: off
PLAIN = frozenset((
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil", "Celu", "Clip",
    "Cos", "Cosh", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink",
    "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu",
))
BROADCASTING = frozenset((
    "Add", "And", "Div", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "MatMul", "Max",
    "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor",
))
# fmt: on
# Operators with one axis, and its default.
ONE_AXIS = {
    "ArgMax": 0,
    "Concat": None,
    "Gather": 0,
    "Hardmax": -1,
    "LayerNormalization": -1,
    "LogSoftmax": -1,
}
ONE_AXIS |= {"LpNormalization": -1, "RMSNormalization": -1, "Softmax": -1, "Split": 0}
# Before this operator set a softmax without an axis had axis 1.
SOFTMAX_OPSET, FLAT_AXIS = 13, 1
REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
SEVERAL_AXES = frozenset({*(f"Reduce{name}" for name in REDUCTIONS), "Squeeze", "Unsqueeze"})
# fmt: off
LEADING = frozenset((
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool",
    "GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "LRN", "MaxPool", "Resize",
    "SpaceToDepth", "Upsample",
))
# fmt: on


def with_sample_axis(model: onnx.ModelProto, shapes: Shapes, opset: int) -> onnx.ModelProto:
    """The graph with one more axis in front of every activation, of any size.

    Args:
        model: cleaned, all sizes fixed.
        shapes: of every activation.
        opset: version of the standard operator set.

    Raises:
        UnsupportedError: a node has no counterpart.
    """
    rewriter = _Rewriter(model.graph, shapes, opset)
    for node in model.graph.node:
        try:
            rewriter.rewrite(node)
        except RefusalError as error:
            raise UnsupportedError(
                f"{qualified_name(node)} {node.name or node.output[0]!r} {error}: samples cannot be told "
                "apart; export the network with a dynamic batch axis"
            ) from error
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.node[:], graph.value_info[:]
    graph.node.extend(rewriter.nodes)
    graph.initializer.extend(rewriter.constants)
    for value in (*graph.input, *graph.output):
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(helper.make_tensor_value_info(value.name, kind, [SYMBOL, *shapes[value.name]]))
    return copy


class _Rewriter:
    """Nodes of the new graph so far."""

    def __init__(self, graph: onnx.GraphProto, shapes: Shapes, opset: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._known = {i.name: i for i in graph.initializer}
        self._shapes, self._opset = shapes, opset

    def rewrite(self, node: onnx.NodeProto) -> None:
        """Append the counterpart of a node; RefusalError where it has none."""
        operator = qualified_name(node)
        if any(name not in self._shapes for name in node.output if name):
            raise RefusalError("gives a tensor of unknown shape")
        if operator in PLAIN:
            self._append(node, node.input)
        elif operator in BROADCASTING:
            self._append(node, self._aligned(node))
        elif operator in LEADING:
            self._leading(node)
        elif operator in RULES:
            RULES[operator](self, node)
        else:
            raise RefusalError("has no counterpart for several samples")

    def is_constant(self, name: str) -> bool:
        return name in self._known

    def values(self, node: onnx.NodeProto, position: int, attribute: str = "") -> list[int] | None:
        """A setting that is an attribute or a constant input; None where it is absent."""
        own = next((a for a in node.attribute if a.name == attribute), None)
        if own is not None:
            return list(own.ints) if own.ints else [own.i]
        if position >= len(node.input) or not node.input[position]:
            return None
        if node.input[position] not in self._known:
            raise RefusalError(f"computes its input {position}")
        return [int(v) for v in numpy_helper.to_array(self._known[node.input[position]]).ravel()]

    def shape(self, name: str) -> Shape:
        """In the file's own axes."""
        if name not in self._shapes:
            raise RefusalError(f"reads a tensor of unknown shape, {name!r}")
        return self._shapes[name]

    def integers(self, values: Sequence[int]) -> str:
        """A constant of the new graph."""
        return self.constant(np.asarray(values, np.int64))

    def constant(self, array: np.ndarray) -> str:
        """A constant of the new graph."""
        name = f"sample_axis:{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(
        self, operator: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any
    ) -> str:
        """Append a node and give its output."""
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def reshaped(self, tensor: str, shape: Sequence[int], output: str) -> str:
        """The tensor with other axes behind the new one."""
        return self.add("Reshape", [tensor, self.integers([0, *shape])], output)

    def _append(self, node: onnx.NodeProto, inputs: Sequence[str], **replaced: Any) -> None:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        del copy.input[:], copy.attribute[:]
        copy.input.extend(inputs)
        copy.attribute.extend(a for a in node.attribute if a.name not in replaced)
        copy.attribute.extend(helper.make_attribute(k, v) for k, v in replaced.items() if v is not None)
        self.nodes.append(copy)

    def _aligned(self, node: onnx.NodeProto) -> list[str]:
        """Inputs whose activations have the rank of the largest, so that the new axis stays first."""
        ranks = [
            len(self.shape(n)) if not self.is_constant(n) else len(self._known[n].dims) for n in node.input
        ]
        if node.op_type == "MatMul" and min(ranks) < 2:
            raise RefusalError("multiplies a vector")
        rank = max(ranks)
        return [
            name
            if self.is_constant(name) or own == rank
            else self.reshaped(name, (*(1,) * (rank - own), *self.shape(name)), f"{node.output[0]}:{i}")
            for i, (name, own) in enumerate(zip(node.input, ranks, strict=True))
        ]

    def _leading(self, node: onnx.NodeProto) -> None:
        """A node whose first axis is a batch of one: it is given the new axis instead."""
        shape, (result, *_) = self.shape(node.input[0]), node.output
        if shape[:1] != (1,):
            raise RefusalError(f"works on a batch of {shape[0] if shape else 'no axes'}")
        inner = self.reshaped(node.input[0], shape[1:], f"{result}:one")
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[0], copy.output[0] = inner, f"{result}:many"
        self.nodes.append(copy)
        self.reshaped(f"{result}:many", self.shape(result), result)

    def one_axis(self, node: onnx.NodeProto) -> None:
        """An axis of the file is the next one here; counted from the end it stays."""
        if self.is_constant(node.input[0]) and node.op_type != "Concat":
            raise RefusalError("works on a constant")
        default = ONE_AXIS[node.op_type]
        if default == -1 and self._opset < SOFTMAX_OPSET and node.op_type.endswith(("max", "Softmax")):
            default = FLAT_AXIS
        axis = next((a.i for a in node.attribute if a.name == "axis"), default)
        inputs = [self._one_sample(n) if n in self._known else n for n in node.input]
        self._append(node, inputs if node.op_type == "Concat" else node.input, axis=_next(axis))

    def _one_sample(self, constant: str) -> str:
        """A constant behind an axis of one."""
        return self.constant(numpy_helper.to_array(self._known[constant])[None])

    def gather(self, node: onnx.NodeProto) -> None:
        """From an activation along the next axis; from a constant table as it is."""
        if not self.is_constant(node.input[0]):
            self.one_axis(node)
        elif any(a.i for a in node.attribute if a.name == "axis"):
            raise RefusalError("looks up along an axis of its table that is not the first")
        else:
            self._append(node, node.input)

    def several_axes(self, node: onnx.NodeProto) -> None:
        """Reductions, Squeeze and Unsqueeze; without axes those that it means."""
        shape, axes = self.shape(node.input[0]), self.values(node, 1, "axes")
        if axes is None:
            squeeze = node.op_type == "Squeeze"
            axes = [i for i, size in enumerate(shape) if size == 1 or not squeeze]
        moved = [_next(a) for a in axes]
        if any(a.name == "axes" for a in node.attribute) or self._opset < _input_from(node.op_type):
            self._append(node, node.input[:1], axes=moved)
        else:
            self._append(node, [node.input[0], self.integers(moved)])

    def transpose(self, node: onnx.NodeProto) -> None:
        rank = len(self.shape(node.input[0]))
        order = self.values(node, 1, "perm") or list(range(rank))[::-1]
        self._append(node, node.input, perm=[0, *(a + 1 for a in order)])

    def to_shape(self, node: onnx.NodeProto) -> None:
        """Reshape and Flatten, whose result is known."""
        self.add(
            "Reshape",
            [node.input[0], self.integers([0, *self.shape(node.output[0])])],
            node.output[0],
            node.name,
        )

    def slice(self, node: onnx.NodeProto) -> None:
        starts, ends = self.values(node, 1, "starts"), self.values(node, 2, "ends")
        if starts is None or ends is None:
            raise RefusalError("has no bounds")
        axes = self.values(node, 3, "axes") or list(range(len(starts)))
        moved = [_next(a) for a in axes]
        if any(a.name == "starts" for a in node.attribute):
            self._append(node, node.input, axes=moved)
        else:
            steps = [node.input[4]] if len(node.input) > 4 else []
            self._append(node, [*node.input[:3], self.integers(moved), *steps])

    def pad(self, node: onnx.NodeProto) -> None:
        pads, axes = self.values(node, 1, "pads") or [], self.values(node, 3, "axes")
        if axes is not None:
            self._append(node, [*node.input[:3], self.integers([_next(a) for a in axes])])
            return
        half = len(pads) // 2
        wider = [0, *pads[:half], 0, *pads[half:]]
        if any(a.name == "pads" for a in node.attribute):
            self._append(node, node.input, pads=wider)
        else:
            self._append(node, [node.input[0], self.integers(wider), *node.input[2:]])

    def expand(self, node: onnx.NodeProto) -> None:
        shape, target = self.shape(node.input[0]), self.shape(node.output[0])
        x = self.reshaped(
            node.input[0], (*(1,) * (len(target) - len(shape)), *shape), f"{node.output[0]}:same"
        )
        self._append(node, [x, self.integers([1, *target])])

    def tile(self, node: onnx.NodeProto) -> None:
        self._append(node, [node.input[0], self.integers([1, *(self.values(node, 1) or [])])])

    def gemm(self, node: onnx.NodeProto) -> None:
        """A product with a constant matrix, and a sum."""
        settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if not self.is_constant(node.input[1]):
            raise RefusalError("is no product with a constant matrix")
        matrix = numpy_helper.to_array(self._known[node.input[1]]) * np.float32(settings.get("alpha", 1.0))
        weight = self.constant(np.ascontiguousarray(matrix.T if settings.get("transB") else matrix))
        x, result = node.input[0], node.output[0]
        if settings.get("transA"):
            x = self.add("Transpose", [x], f"{result}:turned", perm=[0, 2, 1])
        if len(node.input) < 3:
            self.add("MatMul", [x, weight], result, node.name)
            return
        if not self.is_constant(node.input[2]):
            raise RefusalError("adds an activation")
        shift = numpy_helper.to_array(self._known[node.input[2]]) * np.float32(settings.get("beta", 1.0))
        product = self.add("MatMul", [x, weight], f"{result}:product", node.name)
        self.add("Add", [product, self.constant(shift.astype(np.float32))], result, f"{node.name}:bias")


def _next(axis: int | None) -> int:
    if axis is None:
        raise RefusalError("has no axis")
    if not -LARGEST_RANK <= axis < LARGEST_RANK:
        raise RefusalError(f"has no axis {axis}")
    return axis if axis < 0 else axis + 1


def _input_from(operator: str) -> int:
    """The operator set from which axes are an input."""
    return 13 if operator in ("ReduceSum", "Squeeze", "Unsqueeze") else 18


Rule = Callable[[_Rewriter, onnx.NodeProto], None]
RULES: dict[str, Rule] = {
    **dict.fromkeys(ONE_AXIS, _Rewriter.one_axis),
    **dict.fromkeys(SEVERAL_AXES, _Rewriter.several_axes),
    "Gather": _Rewriter.gather,
    "Transpose": _Rewriter.transpose,
    "Reshape": _Rewriter.to_shape,
    "Flatten": _Rewriter.to_shape,
    "Slice": _Rewriter.slice,
    "Pad": _Rewriter.pad,
    "Expand": _Rewriter.expand,
    "Tile": _Rewriter.tile,
    "Gemm": _Rewriter.gemm,
}
