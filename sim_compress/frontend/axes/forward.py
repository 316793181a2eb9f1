"""The pass: every node in order is placed by its operator's rule, and written for one sample and for many.

Tensors that no input reaches leave the graph as constants, the arithmetic on shapes among them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper, numpy_helper

from sim_compress.frontend.axes.inside import Inside, UndecidedError
from sim_compress.frontend.axes.numbers import is_constant
from sim_compress.frontend.axes.placed import DECIDED_BY_BATCH, Placed, Stored
from sim_compress.frontend.axes.regrouping import Place
from sim_compress.frontend.axes.step import Outcome, Rule, Step, checked
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.needed import reads
from sim_compress.frontend.nodes import qualified_name, standard_opset
from sim_compress.frontend.quiet import RUNTIME_ERRORS, evaluated, first_line
from sim_compress.frontend.refusal import RefusalError, TooLargeError
from sim_compress.frontend.weights import NO_WEIGHTS, Weights, inside
from sim_compress.model.maps import Array

# Ways to group a batch of one that are tried before a file is refused.
MOST_TRIES = 300
# Operators that run graphs, where shapes and constants say which or how often.
RUNS: Mapping[str, Callable[[Inside], None]] = {"If": Inside.branch, "Loop": Inside.loop, "Scan": Inside.scan}


@dataclass(frozen=True)
class NotPlaced:
    """A node that has no place.

    Attributes:
        reason: why; None where nothing is known of the operator.
        is_too_large: whether a smaller one would have a place.
    """

    node: onnx.NodeProto
    reason: str | None
    is_too_large: bool = False


@dataclass(frozen=True, eq=False)
class Placement:
    """What the pass finds.

    Attributes:
        tensors: name -> where its samples are, as far as the pass came.
        one_sample: nodes in order, for one sample.
        samples_first: the same with the samples in front of every activation.
        refused: nodes that have no place, in order.
    """

    tensors: Mapping[str, Placed]
    one_sample: Writer
    samples_first: Writer
    refused: tuple[NotPlaced, ...]


def placed(
    model: onnx.ModelProto,
    rules: Mapping[str, Rule],
    inputs: Mapping[str, Placed],
    samples: int | None,
    types: Mapping[str, int],
    weights: Weights = NO_WEIGHTS,
) -> Placement:
    """Place every tensor of a graph.

    Args:
        model: nodes in topological order.
        rules: operator -> what it does to axes.
        inputs: where the samples are in the inputs.
        samples: the batch that the file fixes, None where it is open.
        types: tensor name -> ONNX element type, as far as known.
        weights: those of its stubs.
    """
    choices: list[int] = []
    best: _Pass | None = None
    for _ in range(MOST_TRIES):
        one = _Pass(model, rules, inputs, samples, types, weights, tuple(choices))
        one.run()
        if best is None or len(one.tensors) > len(best.tensors):
            best = one
        if not one.refused:
            break
        choices = _next(one.taken)
        if not choices:
            break
    assert best is not None
    for writer in best.writers:
        writer.pruned(best.ends)
    return Placement(best.tensors, *best.writers, tuple(best.refused))


def _next(taken: Sequence[tuple[int, int]]) -> list[int]:
    """The choices of the next try, given those of the last one and how many there were each time."""
    ahead = list(taken)
    while ahead and ahead[-1][0] + 1 >= ahead[-1][1]:
        ahead.pop()
    return [choice for choice, _ in ahead[:-1]] + [ahead[-1][0] + 1] if ahead else []


@dataclass(eq=False)
class _Pass:
    """One try, with the choices it is told to make where a batch of one can be grouped in several ways."""

    model: onnx.ModelProto
    rules: Mapping[str, Rule]
    inputs: Mapping[str, Placed]
    samples: int | None
    types: Mapping[str, int]
    weights: Weights
    choices: tuple[int, ...]
    tensors: dict[str, Placed] = field(default_factory=dict)
    refused: list[NotPlaced] = field(default_factory=list)
    taken: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        graph = self.model.graph
        taken = {name for n in graph.node for name in n.output} | {i.name for i in graph.initializer}
        self.writers = (Writer(False, taken), Writer(True, taken))
        self.opset = standard_opset(self.model)
        self.ends = {o.name for o in self.model.graph.output}
        self.read = self.ends | {name for node in self.model.graph.node for name in reads(node)}
        stored = self.model.graph.initializer
        self.tensors |= {
            i.name: Placed(tuple(i.dims), stored=Stored(i, self.weights)) for i in stored
        } | dict(self.inputs)

    def run(self) -> None:
        for node in self.model.graph.node:
            self._visit(node)
            if self.refused and self.taken:
                return
            for name in self.ends & set(node.output):
                if name in self.tensors and self.tensors[name].depends:
                    self.refused.append(NotPlaced(node, f"the output {name!r} {DECIDED_BY_BATCH}"))

    def _visit(self, node: onnx.NodeProto) -> None:
        rule = self.rules.get(qualified_name(node))
        if any(name and name not in self.tensors for name in node.input):
            if rule is None:
                self.refused.append(NotPlaced(node, None))
            return
        try:
            if node.op_type in RUNS and rule is None:
                RUNS[node.op_type](Inside(node, self.tensors, self._visit, self.weights))
            else:
                self._place(node, rule)
        except UndecidedError:
            self.refused.append(NotPlaced(node, None))
        except RefusalError as error:
            self.refused.append(NotPlaced(node, str(error), isinstance(error, TooLargeError)))

    def _place(self, node: onnx.NodeProto, rule: Rule | None) -> None:
        inputs = tuple(self.tensors[name] if name else None for name in node.input)
        present = [x for x in inputs if x is not None]
        if _is_constant(node, present):
            self._keep(node, [Placed(v.shape, numbers=v) for v in self._evaluated(node, present)])
            return
        if rule is None:
            self.refused.append(NotPlaced(node, None))
            return
        step = Step(node, inputs, self.opset, self.samples, self._choose, self.read)
        outcome = checked(rule(step), inputs)
        outputs = outcome.outputs
        if all(x.is_constant for x in present) and not all(o.is_known for o in outputs):
            outputs = self._sample_values(node, outcome)
        self._keep(node, outputs)
        if not all(self.tensors[n].is_known for n in node.output if n):
            for writer in self.writers:
                outcome.write(writer)

    def _keep(self, node: onnx.NodeProto, outputs: Sequence[Placed]) -> None:
        for name, x in zip(node.output, outputs, strict=False):
            if name:
                self.tensors[name] = self._typed(name, x)

    def _typed(self, name: str, x: Placed) -> Placed:
        """Known numbers in the type that the graph has for them; a tensor without entries is known."""
        if 0 in x.shape and x.value is None:
            x = x.valued(np.zeros(x.shape, np.float32))
        if x.numbers is None or not is_constant(x.numbers) or not self.types.get(name):
            return x
        dtype = helper.tensor_dtype_to_np_dtype(self.types[name])
        return x if x.numbers.dtype == dtype else x.valued(x.numbers.astype(dtype))

    def _choose(self, places: Sequence[Place]) -> Place:
        """The place for the samples; with a batch of one there may be several, which are tried in turn."""
        if len(places) == 1 or not places[0].is_merged or self.samples != 1:
            return places[0]
        number = len(self.taken)
        choice = self.choices[number] if number < len(self.choices) else 0
        self.taken.append((choice, len(places)))
        return places[choice]

    def _evaluated(self, node: onnx.NodeProto, inputs: Sequence[Placed]) -> list[Array]:
        names = [name for name in node.input if name]
        constants = [_tensor(x, name) for x, name in zip(inputs, names, strict=True)]
        return self._run([node], constants, node.output)

    def _sample_values(self, node: onnx.NodeProto, outcome: Outcome) -> tuple[Placed, ...]:
        """Outputs of a node whose inputs are the same for all samples: what it gives for one of them."""
        writer = Writer(False, self.tensors)
        outcome.write(writer)
        weights = {**self.weights, **writer.weights}
        constants = [inside(c, weights) for c in writer.constants.values()]
        values = self._run(writer.nodes, constants, node.output)
        return tuple(o.valued(v.reshape(o.shape)) for o, v in zip(outcome.outputs, values, strict=False))

    def _run(
        self, nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto], outputs: Sequence[str]
    ) -> list[Array]:
        results = [helper.make_empty_tensor_value_info(name) for name in outputs if name]
        unique = list({c.name: c for c in constants}.values())
        graph = helper.make_graph(nodes, "constant", [], results, unique)
        opsets = list(self.model.opset_import)
        model = helper.make_model(graph, ir_version=self.model.ir_version, opset_imports=opsets)
        try:
            return [np.asarray(v) for v in evaluated(model)]
        except RUNTIME_ERRORS as error:
            raise RefusalError(f"cannot be computed from its constants: {first_line(error)}") from error


def _is_constant(node: onnx.NodeProto, inputs: Sequence[Placed]) -> bool:
    """Whether a node computes a constant that has no samples."""
    if any(a.HasField("g") for a in node.attribute):
        return False
    return all(x.is_constant and x.batch is None for x in inputs) and (
        bool(inputs) or node.op_type == "Constant"
    )


def _tensor(x: Placed, name: str) -> onnx.TensorProto:
    value = x.value
    assert value is not None
    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(x.shape), name)
