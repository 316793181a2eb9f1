"""A cleaned network for one sample, and the same for any number of them, with the samples first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import onnx
from onnx import helper

from sim_compress.errors import ModelFileError
from sim_compress.frontend.axes import Placed, Placement, placed
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.nodes import standard_opset
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.read import cleaning
from sim_compress.frontend.read.inputs import Reading, readings
from sim_compress.frontend.refusals import ADVICE, REASONS, Refused, reason_in
from sim_compress.frontend.simplify import simplify, without_tail
from sim_compress.frontend.weights import Weights
from sim_compress.model import Shape

SYMBOL = "N"
WHOLE_SAMPLES = (
    "the file's batch is fixed and its result depends on it, or it has none: every axis of the file is one "
    "of a sample's, and a batch axis stands before them"
)
ONE_AT_A_TIME = "the file leaves its batch open, and computes one sample at a time"


@dataclass(frozen=True, eq=False)
class Network:
    """A network whose samples are placed.

    Attributes:
        reading: where the samples are in the file's inputs.
        file: the cleaned graph that both are made of.
        one_sample: its graph for one sample; nodes such as convolutions have no batch axis there.
        samples_first: its graph with the samples in front of every activation.
        weights: those of the stubs in all three.
        tensors: name -> where the samples are in the file's tensor.
        refused: nodes that have no place.
        cut: what was left out of the file.
        unread: the nodes that it was left out for.
    """

    reading: Reading
    file: onnx.ModelProto
    one_sample: onnx.ModelProto
    samples_first: onnx.ModelProto
    weights: Weights
    tensors: Mapping[str, Placed]
    refused: tuple[Refused, ...]
    cut: tuple[str, ...] = ()
    unread: tuple[Refused, ...] = ()

    @property
    def shapes(self) -> dict[str, Shape]:
        """Tensor name -> shape of one sample."""
        return {name: x.sample_shape for name, x in self.tensors.items()}

    @property
    def count(self) -> int:
        """Nodes of the cleaned file, of an end that was left out those that cannot be read."""
        return len(self.file.graph.node) + len(self.unread)

    @property
    def advice(self) -> str:
        """What to do about refused nodes."""
        inputs = self.reading.inputs
        if self.reading.samples is not None or any(x.batch == 0 for x in inputs.values()):
            return ADVICE
        asked = (
            f"--input-shape {n}={'x'.join('?' if a == x.batch else str(s) for a, s in enumerate(x.shape))}"
            for n, x in inputs.items()
        )
        return (
            "the axis that the file leaves open was taken for the samples; where it is another, as the "
            f"length of a text, fix its size with {' '.join(asked)} (input_shapes in Python), a number for "
            "each question mark"
        )

    @property
    def keeps_samples_first(self) -> bool:
        """Whether the file's outputs have their samples first, as far as they are placed."""
        ends = [self.tensors[o.name] for o in self.one_sample.graph.output if o.name in self.tensors]
        return all(x.batch == 0 and not x.is_merged for x in ends)

    @property
    def places(self) -> dict[str, Placed]:
        """Input or output name -> where its samples are in the file."""
        ends = (o.name for o in self.one_sample.graph.output)
        return dict(self.reading.inputs) | {name: self.tensors[name].valued(None) for name in ends}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was made of the file that its user should know."""
        if self.reading.is_whole:
            return (WHOLE_SAMPLES, *self.cut)
        alone = (ONE_AT_A_TIME,) if self.reading.is_alone else ()
        inputs = [("input", n, x) for n, x in self.reading.inputs.items()]
        ends = (o.name for o in self.one_sample.graph.output)
        outputs = [("output", n, self.tensors[n]) for n in ends]
        moved = tuple(
            f"the file has the samples of {kind} {name!r} as {x}; here they come first"
            for kind, name, x in (*inputs, *outputs)
            if x.batch or x.is_merged
        )
        return (*alone, *moved, *self.cut)


def networks(model: onnx.ModelProto, weights: Weights, asked: Mapping[str, Shape]) -> Iterator[Network]:
    """The network in the ways to read it, the likeliest first.

    Args:
        model: in float32, without local functions.
        weights: those of its stubs.
        asked: input name -> sizes that were asked for.

    Raises:
        UnsupportedError: an input cannot be read.
        ModelFileError: onnxruntime refuses the network.
    """
    cleaned: tuple[onnx.ModelProto, Weights] | None = None
    samples, later = None, []
    for reading in readings(model, asked):
        if cleaned is None or reading.samples != samples or reading.is_whole:
            try:
                cleaned, samples = _cleaned(model, weights, reading), reading.samples
            except ModelFileError:
                if cleaned is None:
                    raise
                # It does not run with the sizes of this reading.
                continue
        network = _without_tail(_network(*cleaned, reading))
        if reading.samples is not None and not reading.is_whole and not network.keeps_samples_first:
            # A run of a file of fixed batch that moves its samples is better one sample as it is.
            later.append(network)
            continue
        yield network
        if any(r.is_unknown for r in network.refused):
            return
    yield from later


def _cleaned(model: onnx.ModelProto, weights: Weights, reading: Reading) -> tuple[onnx.ModelProto, Weights]:
    cleaned, kept = cleaning.optimised(_with_sizes(model, reading), weights)
    simplify(cleaned.graph, standard_opset(cleaned), kept)
    cleaning.annotate(cleaned)
    return cleaned, kept


def _with_sizes(model: onnx.ModelProto, reading: Reading) -> onnx.ModelProto:
    """A copy whose inputs have the axes of a reading, an open one under one name in all of them."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.input:
        x = reading.inputs[value.name]
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            if axis == x.batch and reading.samples is None:
                dim.Clear()
                dim.dim_param = SYMBOL
            else:
                dim.dim_value = reading.samples if axis == x.batch and reading.samples else x.shape[axis]
    for output in copy.graph.output:
        output.type.tensor_type.ClearField("shape")
    return copy


def _network(model: onnx.ModelProto, weights: Weights, reading: Reading) -> Network:
    graph = model.graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}
    rules = {name: o.axes for name, o in OPERATORS.items()}
    found = placed(model, rules, reading.inputs, reading.samples, types, weights)
    refused = tuple(
        Refused.of(n.node, n.reason or reason_in(graph, n.node), n.reason is None or n.is_too_large)
        for n in found.refused
    )
    first = _written(model, found, found.samples_first, types)
    _describe(first)
    types |= {v.name: v.type.tensor_type.elem_type for v in first.graph.value_info}
    one = _written(model, found, found.one_sample, types)
    held = {**weights, **found.one_sample.weights, **found.samples_first.weights}
    return Network(reading, model, one, first, held, found.tensors, refused)


def _describe(graph: onnx.ModelProto) -> None:
    """Write the types of the tensors that the axis pass made into a graph with the samples first."""
    known = {v.name for v in graph.graph.value_info}
    made = [n for n in graph.graph.node if not known.issuperset(n.output)]
    if made:
        full = cleaning.annotated(graph)
        graph.graph.value_info.extend(v for v in full.value_info if v.name not in known)


def _without_tail(network: Network) -> Network:
    """The network without an end of it that holds no parameters and cannot be read.

    Ends that draw random numbers, loop or compute in quantised numbers are none: more is said of them.
    """
    unknown = [r for r in network.refused if r.is_unknown]
    unread = [] if any(r.operator in REASONS for r in unknown) else [r.output for r in unknown]
    shorter = without_tail(network.file, unread) if unread else None
    if shorter is None:
        return network
    part, note = shorter
    return replace(_network(part, network.weights, network.reading), cut=(note,), unread=network.refused)


def _written(
    model: onnx.ModelProto, found: Placement, writer: Writer, types: Mapping[str, int]
) -> onnx.ModelProto:
    """A graph that the axis pass wrote, under the names of the file."""
    samples = [SYMBOL] * writer.shift

    def info(name: str) -> onnx.ValueInfoProto:
        shape = [*samples, *found.tensors[name].sample_shape] if name in found.tensors else None
        return helper.make_tensor_value_info(name, types.get(name) or onnx.TensorProto.FLOAT, shape)

    written = onnx.ModelProto()
    written.ir_version, graph = model.ir_version, written.graph
    written.opset_import.extend(model.opset_import)
    graph.name = model.graph.name
    graph.node.extend(writer.nodes)
    graph.initializer.extend(writer.constants.values())
    graph.input.extend(info(i.name) for i in model.graph.input if not found.tensors[i.name].is_known)
    graph.output.extend(info(o.name) for o in model.graph.output)
    # Types of tensors that come from graphs inside nodes are inferred.
    made = (name for n in writer.nodes for name in n.output if name in found.tensors and name in types)
    ends = {o.name for o in graph.output}
    graph.value_info.extend(info(name) for name in made if name not in ends)
    return written
