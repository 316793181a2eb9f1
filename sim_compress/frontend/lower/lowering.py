"""The walk over the graph of one sample: every tensor an expression, every nonlinear node a state block."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import onnx
from onnx import helper

from sim_compress.activations import IDENTITY, Activation
from sim_compress.errors import InputError
from sim_compress.frontend.lower.names import block_names
from sim_compress.frontend.lower.recognition import Recognised, recognised
from sim_compress.frontend.nodes import qualified_name, standard_opset
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.refusals import ADVICE, Refused, RefusedNodesError, reason, refusal_message
from sim_compress.frontend.registry import Activated, Call, RefusalError, Result
from sim_compress.frontend.terms.expressions import is_weighted, mapped, reference
from sim_compress.frontend.terms.rows import one_set_a_weight
from sim_compress.frontend.weights import Weights, to_array
from sim_compress.model import Affine, ImplicitModel, Input, LinearMap, Output, Shape, StateBlock, shared
from sim_compress.model.maps import Array

# A residual stream of 128 transformer layers has 257 terms; every term is one pass over a state.
MOST_TERMS = 257


class StateTensors(NamedTuple):
    """Where the graph holds a block.

    Attributes:
        before: the tensor that is its pre-activation, None where there is none; rows always have one.
        after: the tensor that follows from its state alone.
        maps: give that tensor from the state; none where it is the state.
    """

    before: str | None
    after: str
    maps: tuple[LinearMap, ...] = ()


@dataclass(frozen=True, eq=False)
class Lowered:
    """The exact model, and where its states are found in the graph.

    Attributes:
        tensors: block name -> where the graph holds its pre-activation and its state.
        outputs: output name -> tensor name.
        nodes: block or output name -> names of the nodes whose parameters it holds.
        shapes: tensor name -> shape, for every activation of the graph.
    """

    model: ImplicitModel
    tensors: Mapping[str, StateTensors]
    outputs: Mapping[str, str]
    nodes: Mapping[str, tuple[str, ...]]
    shapes: Mapping[str, Shape]


def lower(
    model: onnx.ModelProto,
    weights: Weights,
    shapes: Mapping[str, Shape],
    dtypes: Mapping[str, str],
    refused: Sequence[Refused] = (),
    cut: Sequence[Refused] = (),
    count: int = 0,
    advice: str = ADVICE,
) -> Lowered:
    """The exact implicit model of a graph.

    Args:
        model: nodes in topological order, for one sample.
        weights: those of its stubs.
        shapes: of tensors as far as known, for what comes behind a refused node.
        dtypes: input name -> numpy dtype that its values come in.
        refused: what is refused before, named together with what is refused here.
        cut: what was left out with the end of the file, named only beside others.
        count: nodes among which these are; 0 for those of the graph.
        advice: what to do about them.

    Raises:
        UnsupportedError: lists every node that has no place in the state model.
    """
    graph, known = model.graph, recognised(model, weights, shapes)
    nodes = _joined(graph, known)
    inputs = _inputs(graph, shapes, dtypes)
    walk = _walked(_Walk(model, weights, nodes, known, inputs, shapes), nodes)
    if not refused:
        walk.check_outputs(graph)
    if refused or walk.refused:
        named = [*refused, *walk.refused, *cut]
        raise RefusedNodesError(refusal_message(named, count or len(graph.node), advice))
    lowered = walk.lowered(graph)
    apart = _beside_others(lowered)
    if not apart:
        return lowered
    return _walked(_Walk(model, weights, nodes, known, inputs, shapes, apart), nodes).lowered(graph)


def _walked(walk: "_Walk", nodes: Sequence[onnx.NodeProto]) -> "_Walk":
    with one_set_a_weight():
        for node in nodes:
            walk.visit(node)
    return walk


def _beside_others(lowered: Lowered) -> frozenset[str]:
    """Nodes in rows of several weights, of which one stands without the others elsewhere.

    The first step of an unrolled network has no state before: its rows are those of the inputs alone, and
    shared with the later steps where every product is a block.
    """
    rows = {name: tuple(map(id, affine.weights)) for name, affine in lowered.model.affines()}
    beside: dict[int, set[tuple[int, ...]]] = {}
    for together in rows.values():
        for weight in together:
            beside.setdefault(weight, set()).add(together)
    several = [n for n, w in rows.items() if len(w) > 1 and any(len(beside[i]) > 1 for i in w)]
    return frozenset(node for name in several for node in lowered.nodes[name])


def _inputs(
    graph: onnx.GraphProto, shapes: Mapping[str, Shape], dtypes: Mapping[str, str]
) -> tuple[Input, ...]:
    return tuple(Input(i.name, shapes[i.name], dtypes[i.name]) for i in graph.input)


def _joined(graph: onnx.GraphProto, known: Mapping[str, Recognised]) -> list[onnx.NodeProto]:
    """The nodes with one in the place of each region, of the name and the result of its last."""
    inside = {name for r in known.values() for n in r.region.nodes for name in n.output} - set(known)
    return [
        helper.make_node("Recognised", [known[n.output[0]].region.root], n.output, n.name)
        if n.output[0] in known
        else n
        for n in graph.node
        if n.output[0] not in inside
    ]


class _Walk:
    """What is known so far: expressions by tensor, blocks in order, refused nodes."""

    def __init__(
        self,
        model: onnx.ModelProto,
        weights: Weights,
        nodes: Sequence[onnx.NodeProto],
        known: Mapping[str, Recognised],
        inputs: tuple[Input, ...],
        shapes: Mapping[str, Shape],
        apart: Collection[str] = (),
    ) -> None:
        """Start at the inputs; products of nodes that stand `apart` are blocks of their own."""
        graph = model.graph
        self.known = known
        self.apart = apart
        self.inputs = inputs
        self.values: dict[str, Affine | Array] = {i.name: to_array(i, weights) for i in graph.initializer}
        self.values |= {i.name: reference(i.name, i.shape) for i in self.inputs}
        self.shapes = {i.name: i.shape for i in self.inputs}
        self.inferred = shapes
        self.opset = standard_opset(model)
        self.types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info)}
        self.names = block_names(graph)
        self.blocks: list[StateBlock] = []
        self.tensors: dict[str, StateTensors] = {}
        # Parametric nodes of each expression, until it becomes a block and they are the block's.
        self.parametric: dict[str, tuple[str, ...]] = {}
        self.nodes: dict[str, tuple[str, ...]] = {}
        self.refused: list[Refused] = []
        self.uses = Counter(name for n in nodes for name in n.input)
        self.uses.update(o.name for o in graph.output)

    def visit(self, node: onnx.NodeProto) -> None:
        """Give every output of a node its expression, or refuse the node."""
        known = all(name in self.values for name in node.input if name)
        if found := self.known.get(node.output[0]):
            value = self.values.get(node.input[0])
            if isinstance(value, Affine):
                self._keep(node, Activated(value, found.phi, found.maps))
            return
        operator = OPERATORS.get(qualified_name(node))
        if operator is None or operator.handler is None:
            self._refuse(node, reason(node.op_type))
        elif known:
            try:
                self._keep(node, operator.handler(self._call(node)))
            except (RefusalError, InputError) as error:
                self._refuse(node, str(error))

    def _call(self, node: onnx.NodeProto) -> Call:
        return Call(node, self.values, self.materialise, self.types, self.opset)

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
        parametric = self._parametric(node, results)
        is_apart = (node.name or node.output[0]) in self.apart
        for name, value in zip(node.output, results, strict=False):
            self.parametric[name] = parametric
            if isinstance(value, Activated):
                before = next((n for n in node.input if self.values.get(n) is value.affine), None)
                self._add_block(name, before, value)
            else:
                self._set(name, value)
                if is_apart and is_weighted(value):
                    self.materialise(name)

    def _parametric(self, node: onnx.NodeProto, results: Sequence[Affine | Activated]) -> tuple[str, ...]:
        """Names of the parametric nodes behind a node's outputs, its own where it brings parameters."""
        found = dict.fromkeys(n for name in node.input for n in self.parametric.get(name, ()))
        before = [self.values[name] for name in node.input if name]
        held = sum(len(v.weighted) for v in before if isinstance(v, Affine))
        if sum(len(r.affine.weighted if isinstance(r, Activated) else r.weighted) for r in results) > held:
            found[node.name or node.output[0]] = None
        return tuple(found)

    def _set(self, tensor: str, value: Affine) -> None:
        self.values[tensor], self.shapes[tensor] = value, value.shape
        # A weight is held once: what is read twice becomes a block that may be. So does what has many terms:
        # sums of sums would have exponentially many.
        if (is_weighted(value) and self.uses[tensor] > 1) or len(value.terms) > MOST_TERMS:
            self.materialise(tensor)

    def _add_block(self, tensor: str, before: str | None, value: Activated) -> None:
        assert before is not None or not is_weighted(value.affine)
        try:
            state = value.phi.state_shape(value.affine.shape)
        except ValueError as error:
            raise RefusalError(str(error)) from error
        block = StateBlock(self.names[tensor], value.affine, value.phi)
        result = mapped(reference(block.name, state), *value.maps)
        self.blocks.append(block)
        self.tensors[block.name] = StateTensors(before, tensor, value.maps)
        self.nodes[block.name] = self.parametric.pop(tensor, ())
        self.values[tensor], self.shapes[tensor] = result, result.shape

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
        model = shared(ImplicitModel(self.inputs, tuple(self.blocks), outputs))
        nodes = self.nodes | {o.name: self.parametric.get(o.name, ()) for o in outputs}
        return Lowered(model, self.tensors, {o.name: o.name for o in outputs}, nodes, self.shapes)
