"""The teacher: a network file as its exact implicit model and as a graph its states can be read from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import onnx
from onnx import helper
from onnx.utils import Extractor

from sim_compress.errors import InputError, SimCompressError, UnsupportedError
from sim_compress.frontend.axes import Placed
from sim_compress.frontend.lower.lowering import Lowered, StateTensors, lower
from sim_compress.frontend.network import Network, networks
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.read import cleaning
from sim_compress.frontend.read.inputs import check_types, with_shapes
from sim_compress.frontend.read.network_file import NetworkFile, read_network
from sim_compress.frontend.read.origin import origin
from sim_compress.frontend.read.screening import screen
from sim_compress.frontend.read.sources import Content, Source
from sim_compress.frontend.refusals import (
    REASONS,
    RefusedNodesError,
    beyond_help,
    check_known_operators,
    refusal_message,
)
from sim_compress.frontend.simplify import expanded, standard
from sim_compress.frontend.verification import check
from sim_compress.frontend.weights import Weights, keys
from sim_compress.model import ImplicitModel, Shape

# Stands for an open batch while sizes are computed; a prime, since feature axes are often powers of two.
SCREENED = 11


@dataclass(frozen=True, eq=False)
class Teacher:
    """A pretrained network, exact.

    Attributes:
        path: the file it came from.
        graph: the cleaned network; the samples are the first axis of every activation, which has its shape.
        weights: its large constants, which are stubs in it.
        model: its implicit model.
        tensors: block name -> where the graph holds its pre-activation and its state; they are the same
            tensor where phi is the identity.
        outputs: output name -> name of its tensor in the graph.
        nodes: block or output name -> names of the nodes whose parameters it holds.
        notes: what was made of the file that its user should know.
        places: input or output name -> where its samples are in the file.
        batch: samples of one run of the file, None where it takes any number.
        size: bytes of the file with its external data.
        sha256: hash of the same bytes.
        source: what the file says of itself, JSON values only.
    """

    path: Path
    graph: onnx.ModelProto
    weights: Weights
    model: ImplicitModel
    tensors: Mapping[str, StateTensors]
    outputs: Mapping[str, str]
    nodes: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
    places: Mapping[str, Placed]
    batch: int | None
    size: int
    sha256: str
    source: Mapping[str, Any]

    @cached_property
    def _extractor(self) -> Extractor:
        return Extractor(self.graph)

    @cached_property
    def _activations(self) -> frozenset[str]:
        graph = self.graph.graph
        return frozenset(v.name for v in (*graph.input, *graph.value_info, *graph.output))

    def submodel(self, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.ModelProto:
        """The part of the graph that computes some tensors from others, with stubs for its weights.

        Args:
            inputs: tensors the caller holds.
            outputs: tensors wanted; one that is held passes through.

        Raises:
            InputError: a name is not a tensor of the graph, or the inputs do not determine the outputs.
        """
        unknown = [n for n in (*inputs, *outputs) if n not in self._activations]
        if unknown:
            raise InputError(f"no tensor {unknown[0]!r} in the cleaned graph of {self.path}")
        part = self._extractor.extract_model(list(inputs), list(outputs))
        computed = {name for node in part.graph.node for name in node.output}
        needed = {name for node in part.graph.node for name in node.input} | set(outputs)
        constants = {i.name for i in part.graph.initializer}
        missing = sorted(needed - computed - constants - {*inputs, ""})
        if missing:
            raise InputError(
                f"{list(outputs)} cannot be computed from {list(inputs)}: {missing[0]!r} is needed"
            )
        return part


def load_teacher(source: Source | Content, input_shapes: Mapping[str, Shape] | None = None) -> Teacher:
    """Read an ONNX network and lower it, exactly, to the state model.

    Args:
        source: a path, the file's bytes, the file opened with "rb", or an onnx.ModelProto, left as it is.
        input_shapes: input name ("" where there is one input) -> sizes of all its axes, for inputs whose
            sizes the file leaves open; the batch, the first axis, stays as the file has it.

    Raises:
        ModelFileError: the file is missing, damaged or not a valid network.
        InputError: a shape does not fit the file.
        UnsupportedError: lists every node without a place in the state model, or names the input that
            cannot be used.
    """
    return teacher_of(read_network(source), input_shapes or {})


def teacher_of(file: NetworkFile, input_shapes: Mapping[str, Shape] = MappingProxyType({})) -> Teacher:
    """Lower a network that is in memory.

    Raises:
        ModelFileError, InputError, UnsupportedError: as `load_teacher`.
    """
    try:
        known = standard(file.model, file.weights)
        check_known_operators(known)
        plain = expanded(known, OPERATORS.keys() | REASONS.keys())
        original = with_shapes(cleaning.normalise(plain), input_shapes)
        check_types(original)
        screen(original, file.weights, SCREENED)
        network, lowered = _lowered(original, file.weights, _dtypes(file.model), input_shapes)
    except SimCompressError as error:
        graph = file.model.graph
        beyond = [] if isinstance(error, RefusedNodesError) else beyond_help(graph)
        if beyond:
            # What the error asks for would not help.
            raise UnsupportedError(f"{file.path}: {refusal_message(beyond, len(graph.node))}") from error
        raise type(error)(f"{file.path}: {error}") from error
    return Teacher(
        file.path,
        network.samples_first,
        {key: network.weights[key] for key in keys(network.samples_first.graph)},
        lowered.model,
        lowered.tensors,
        lowered.outputs,
        lowered.nodes,
        network.notes,
        network.places,
        network.reading.samples,
        file.size,
        file.sha256,
        origin(file.model),
    )


def _lowered(
    original: onnx.ModelProto,
    weights: Weights,
    dtypes: Mapping[str, str],
    input_shapes: Mapping[str, Shape],
) -> tuple[Network, Lowered]:
    """The network in the first way to read it that has an exact model.

    Raises:
        UnsupportedError: why the likeliest way has none, where no way has one.
    """
    first: UnsupportedError | None = None
    for network in networks(original, weights, input_shapes):
        try:
            lowered = _exact(original, weights, network, dtypes)
        except UnsupportedError as error:
            first = first or error
            continue
        return network, lowered
    assert first is not None
    raise first


def _exact(
    original: onnx.ModelProto, weights: Weights, network: Network, dtypes: Mapping[str, str]
) -> Lowered:
    """The exact model of a network that gives what the file gives.

    Raises:
        UnsupportedError: nodes have no place in the state model; or else the network gives something else.
    """

    def lowered() -> Lowered:
        return lower(
            network.one_sample,
            network.weights,
            network.shapes,
            dtypes,
            network.refused,
            network.unread,
            network.count,
            network.advice,
        )

    ends = (network.file if network.cut else original).graph.output
    if network.refused or any(o.name not in network.tensors for o in ends):
        return lowered()
    try:
        # Before the model holds rows beside the weights: sessions take room as well.
        check(original, weights, network)
    except UnsupportedError:
        # Refused nodes are named first.
        lowered()
        raise
    return lowered()


def _dtypes(model: onnx.ModelProto) -> dict[str, str]:
    """numpy's names for the types of a file's inputs; bfloat16, which it has none for, comes as float32."""
    kinds = {i.name: i.type.tensor_type.elem_type for i in model.graph.input}
    return {
        name: "float32" if kind == onnx.TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(kind).name
        for name, kind in kinds.items()
        if kind
    }
