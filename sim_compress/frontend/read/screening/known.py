"""A graph's tensors as far as they follow without running it: types, shapes, and which are constant.

Shapes come from onnx's own inference, node by node. A constant that decides a shape is evaluated, once
everything on the way to it is known to be small.
"""

from collections import ChainMap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TypeProto, helper, numpy_helper

from sim_compress.frontend.nodes import STANDARD
from sim_compress.frontend.quiet import RUNTIME_ERRORS, evaluated
from sim_compress.frontend.weights import Weights, inside, to_array
from sim_compress.model.maps import Array, Shape

# Values in all on the way to a constant that decides a shape; shapes themselves have a handful.
EVALUATED = 2**20
# Constants up to this size may hold a shape.
LARGEST_SETTING = 4096
RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
# Numbers and names that C++ does not take come as errors of Python's own.
INFERENCE_ERRORS = (
    onnx.shape_inference.InferenceError,
    onnx.checker.ValidationError,
    ValueError,
    TypeError,
)


class Maker(NamedTuple):
    """A node that computes a constant, and its place in the order of evaluation."""

    place: int
    node: onnx.NodeProto


@dataclass(frozen=True, eq=False)
class Scope:
    """What is known in one graph and in those around it.

    Attributes:
        types: tensor name -> type with its shape, as far as known.
        values: constant -> its value, where it is in the file or was evaluated.
        makers: constant -> the node that computes it, None where it comes out of a graph inside a node.
    """

    types: ChainMap[str, TypeProto] = field(default_factory=ChainMap[str, TypeProto])
    values: ChainMap[str, onnx.TensorProto] = field(default_factory=ChainMap[str, onnx.TensorProto])
    makers: ChainMap[str, "Maker | None"] = field(default_factory=ChainMap[str, "Maker | None"])

    def inner(self) -> "Scope":
        """The scope of a graph inside a node."""
        return Scope(self.types.new_child(), self.values.new_child(), self.makers.new_child())

    def is_constant(self, name: str) -> bool:
        return name in self.values or name in self.makers


@dataclass(frozen=True, eq=False)
class Seen:
    """One node in order of evaluation.

    Attributes:
        types: output name -> type; without a shape where none follows, missing where nothing does.
        constant: whether it computes constants, which clean-up does beforehand.
    """

    node: onnx.NodeProto
    types: Mapping[str, TypeProto]
    constant: bool
    walk: "Walk"
    scope: Scope

    def value(self, position: int) -> Array | None:
        """A constant input, None where it is missing, depends on the network's inputs, or is large."""
        if position >= len(self.node.input) or not self.node.input[position]:
            return None
        found = self.walk.value(self.node.input[position], self.scope)
        return None if found is None else to_array(found, self.walk.weights)


def shape_of(kind: TypeProto | None) -> Shape | None:
    """Axes of a tensor's type; an open one is -1, None where not even their number is known."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in kind.tensor_type.shape.dim)


def is_open(kind: TypeProto | None) -> bool:
    """Whether a tensor's size is unknown."""
    shape = shape_of(kind)
    return shape is None or min(shape, default=0) < 0


class Walk:
    """The nodes of a model of standard operators, in order, those of the graphs inside them first."""

    def __init__(self, model: onnx.ModelProto, weights: Weights, batch: int) -> None:
        """The first axes of inputs have the size `batch` where the file leaves them open."""
        self._model, self.weights = model, weights
        self._place = 0
        self.inputs = {i.name: _with_batch(i.type, batch) for i in model.graph.input}
        self.opset = next(o.version for o in model.opset_import if o.domain in STANDARD)

    def __iter__(self) -> Iterator[Seen]:
        scope = Scope()
        scope.types.update(self.inputs)
        return self._graph(self._model.graph, scope)

    def _graph(self, graph: onnx.GraphProto, scope: Scope) -> Iterator[Seen]:
        for tensor in graph.initializer:
            scope.values[tensor.name] = tensor
            scope.types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
        for node in graph.node:
            yield from self._node(node, scope)

    def _node(self, node: onnx.NodeProto, scope: Scope) -> Iterator[Seen]:
        self._place += 1
        if any(a.HasField("g") for a in node.attribute):
            yield from self._bodies(node, scope)
            yield Seen(node, {}, False, self, scope)
            return
        inputs = [name for name in node.input if name]
        types = self._inferred(node, scope)
        if any(is_open(types.get(n)) for n in node.output if n):
            known = [self.value(n, scope) for n in inputs if scope.is_constant(n)]
            types = self._inferred(node, scope) if known else types
        # Sequences are made when the network runs.
        dense = all(kind.HasField("tensor_type") for kind in types.values())
        constant = dense and node.op_type not in RANDOM and all(scope.is_constant(n) for n in inputs)
        yield Seen(node, types, constant, self, scope)
        scope.types.update(types)
        value = _stored(node) or _sizes(node, scope)
        if value is not None:
            scope.values[node.output[0]] = value
        elif constant:
            scope.makers.update(dict.fromkeys(node.output, Maker(self._place, node)))

    def _bodies(self, node: onnx.NodeProto, scope: Scope) -> Iterator[Seen]:
        """The graphs inside a node; where it is known which way an If goes, its results too."""
        condition = self.value(node.input[0], scope) if node.op_type == "If" and node.input else None
        way = None
        if condition is not None:
            way = "then_branch" if numpy_helper.to_array(condition).any() else "else_branch"
        for attribute in (a for a in node.attribute if a.HasField("g")):
            inner = scope.inner()
            yield from self._graph(attribute.g, inner)
            if attribute.name == way:
                for name, result in zip(node.output, attribute.g.output, strict=False):
                    self._hand_out(name, result.name, inner, scope)

    def _hand_out(self, name: str, result: str, inner: Scope, scope: Scope) -> None:
        """What is known of a tensor inside a node, for the node's output."""
        if result in inner.types:
            scope.types[name] = inner.types[result]
        if not inner.is_constant(result):
            return
        value = self.value(result, inner)
        if value is None:
            scope.makers[name] = None
        else:
            scope.values[name] = value

    def _inferred(self, node: onnx.NodeProto, scope: Scope) -> Mapping[str, TypeProto]:
        """Types of a node's outputs, none where they do not follow or the node is not valid."""
        names = [name for name in node.input if name]
        if any(name not in scope.types for name in names):
            return {}
        types = {name: scope.types[name] for name in names}
        values = {
            n: scope.values[n]
            for n in names
            if n in scope.values and prod(scope.values[n].dims) <= LARGEST_SETTING
        }
        try:
            schema = onnx.defs.get_schema(node.op_type, self.opset, "")
            return onnx.shape_inference.infer_node_outputs(
                schema, node, types, values, opset_imports=[helper.make_opsetid("", self.opset)]
            )
        except (*INFERENCE_ERRORS, onnx.defs.SchemaError):
            return {}

    def value(self, name: str, scope: Scope) -> onnx.TensorProto | None:
        """A constant, evaluated where the file does not hold it; None where that takes too much."""
        if name in scope.values or name not in scope.makers:
            return scope.values.get(name)
        nodes = self._ancestry(name, scope)
        if nodes is None:
            return None
        inputs = {n for node in nodes for n in node.input if n in scope.values}
        made = {n for node in nodes for n in node.output}
        graph = helper.make_graph(
            nodes,
            "constant",
            [],
            [onnx.ValueInfoProto(name=name, type=scope.types[name])],
            [inside(_named(scope.values[n], n), self.weights) for n in sorted(inputs - made)],
        )
        model = helper.make_model(
            graph, ir_version=self._model.ir_version, opset_imports=list(self._model.opset_import)
        )
        try:
            (array,) = evaluated(model)
        except RUNTIME_ERRORS:
            return None
        scope.values[name] = numpy_helper.from_array(np.asarray(array), name)
        return scope.values[name]

    def _ancestry(self, name: str, scope: Scope) -> list[onnx.NodeProto] | None:
        """The nodes that compute a constant, in order; None where they hold too many values."""
        found: dict[int, onnx.NodeProto] = {}
        ahead, elements = [name], 0
        while ahead:
            current = ahead.pop()
            if not current or current in scope.values:
                continue
            maker = scope.makers[current]
            if maker is None:
                return None
            if maker.place in found:
                continue
            kinds = [scope.types.get(output) for output in maker.node.output if output]
            elements += sum(prod(shape_of(kind) or ()) for kind in kinds)
            if elements > EVALUATED or any(is_open(kind) for kind in kinds):
                return None
            found[maker.place] = maker.node
            ahead += maker.node.input
        return [found[place] for place in sorted(found)]


def _with_batch(kind: TypeProto, batch: int) -> TypeProto:
    """A type whose open first axis has a size."""
    fixed = TypeProto()
    fixed.CopyFrom(kind)
    dims = fixed.tensor_type.shape.dim
    if dims and dims[0].dim_value <= 0:
        dims[0].dim_value = batch
    return fixed


def _named(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    if tensor.name == name:
        return tensor
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    return copy


def _stored(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor that a Constant node holds."""
    if node.op_type != "Constant" or not node.output:
        return None
    return next((_named(a.t, node.output[0]) for a in node.attribute if a.name == "value"), None)


def _sizes(node: onnx.NodeProto, scope: Scope) -> onnx.TensorProto | None:
    """What Shape or Size gives for a tensor of known shape, None for other nodes."""
    if node.op_type not in ("Shape", "Size") or not (node.input and node.output):
        return None
    shape = shape_of(scope.types.get(node.input[0]))
    if shape is None or min(shape, default=0) < 0:
        return None
    cut = {a.name: a.i for a in node.attribute}
    found = prod(shape) if node.op_type == "Size" else shape[cut.get("start", 0) : cut.get("end")]
    return numpy_helper.from_array(np.array(found, np.int64), node.output[0])
