"""The walk over a cleaned graph: every tensor an expression, every nonlinear node a state block."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from sim_compress.activations import IDENTITY, Activation
from sim_compress.errors import UnsupportedError
from sim_compress.frontend.expressions import is_weighted, reference
from sim_compress.frontend.names import block_names
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.refusals import Refused, refusal_message
from sim_compress.frontend.registry import Activated, Call, RefusalError, Result, qualified_name
from sim_compress.model import Affine, ImplicitModel, Input, Output, Shape, StateBlock
from sim_compress.model.maps import Array


@dataclass(frozen=True, eq=False)
class Lowered:
    """The exact model, and where its states are found in the graph.

    Attributes:
        tensors: block name -> names of the tensors that hold its pre-activation and its state.
        outputs: output name -> tensor name.
        shapes: tensor name -> per-sample shape, for every activation of the graph.
    """

    model: ImplicitModel
    tensors: Mapping[str, tuple[str, str]]
    outputs: Mapping[str, str]
    shapes: Mapping[str, Shape]


def lower(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> Lowered:
    """The exact implicit model of a cleaned graph.

    Args:
        graph: nodes in topological order, the batch first in every activation.
        shapes: per-sample shapes of tensors as far as known, for what comes behind a refused node.

    Raises:
        UnsupportedError: lists every node that has no place in the state model.
    """
    walk = _Walk(graph, shapes)
    for node in graph.node:
        walk.visit(node)
    walk.check_outputs(graph)
    if walk.refused:
        raise UnsupportedError(refusal_message(walk.refused, len(graph.node)))
    return walk.lowered(graph)


class _Walk:
    """What is known so far: expressions by tensor, blocks in order, refused nodes."""

    def __init__(self, graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> None:
        self.inputs = tuple(Input(i.name, shapes[i.name]) for i in graph.input)
        self.values: dict[str, Affine | Array] = {
            i.name: numpy_helper.to_array(i) for i in graph.initializer
        } | {i.name: reference(i.name, i.shape) for i in self.inputs}
        self.shapes = {i.name: i.shape for i in self.inputs}
        self.inferred = shapes
        self.names = block_names(graph)
        self.blocks: list[StateBlock] = []
        self.tensors: dict[str, tuple[str, str]] = {}
        self.refused: list[Refused] = []
        self.uses = Counter(name for n in graph.node for name in n.input)
        self.uses.update(o.name for o in graph.output)

    def visit(self, node: onnx.NodeProto) -> None:
        """Give every output of a node its expression, or refuse the node."""
        known = all(name in self.values for name in node.input if name)
        operator = OPERATORS.get(qualified_name(node))
        if operator is None:
            self._refuse(node, "this operator is not supported")
        elif known:
            try:
                self._keep(node, operator.handler(Call(node, self.values, self.materialise)))
            except RefusalError as error:
                self._refuse(node, str(error))

    def _refuse(self, node: onnx.NodeProto, reason: str) -> None:
        self.refused.append(Refused.of(node, reason))
        for name in node.output:
            if name in self.inferred:
                self.values[name] = reference(name, self.inferred[name])

    def _keep(self, node: onnx.NodeProto, result: Result) -> None:
        """Store a handler's result under the node's output names."""
        results = result if isinstance(result, tuple) else (result,)
        unread = [name for name in node.output[len(results) :] if self.uses[name]]
        if unread:
            raise RefusalError(f"its output {unread[0]!r} is read; only the first output is supported")
        for name, value in zip(node.output, results, strict=False):
            if isinstance(value, Activated):
                self._add_block(name, node.input[0], value)
            else:
                self._set(name, value)

    def _set(self, tensor: str, value: Affine) -> None:
        self.values[tensor], self.shapes[tensor] = value, value.shape
        # A weight is held once: what is read twice becomes a block that may be.
        if is_weighted(value) and self.uses[tensor] > 1:
            self.materialise(tensor)

    def _add_block(self, tensor: str, before: str, value: Activated) -> None:
        block = StateBlock(self.names[tensor], value.affine, value.phi)
        self.blocks.append(block)
        self.tensors[block.name] = (before, tensor)
        self.values[tensor], self.shapes[tensor] = reference(block.name, block.shape), block.shape

    def materialise(self, tensor: str) -> Affine:
        """Make a tensor a block with phi = identity; later readers see the reference to it."""
        value = self.values[tensor]
        assert isinstance(value, Affine)
        self._add_block(tensor, tensor, Activated(value, Activation(IDENTITY)))
        return reference(self.names[tensor], value.shape)

    def check_outputs(self, graph: onnx.GraphProto) -> None:
        """Refuse outputs that no input reaches."""
        for output in graph.output:
            if not isinstance(self.values.get(output.name, None), Affine) and not self.refused:
                self.refused.append(Refused("output", output.name, "does not depend on any input"))

    def lowered(self, graph: onnx.GraphProto) -> Lowered:
        affines = {o.name: self.values[o.name] for o in graph.output}
        outputs = tuple(Output(name, a) for name, a in affines.items() if isinstance(a, Affine))
        model = ImplicitModel(self.inputs, tuple(self.blocks), outputs)
        return Lowered(model, self.tensors, {o.name: o.name for o in outputs}, self.shapes)
