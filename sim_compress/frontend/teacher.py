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

from sim_compress.errors import InputError, ModelFileError, SimCompressError, UnsupportedError
from sim_compress.frontend import batch, cleaning
from sim_compress.frontend.contractions import decompose
from sim_compress.frontend.freeing import repeat_joined_constants
from sim_compress.frontend.lowering import Lowered, StateTensors, lower
from sim_compress.frontend.network_file import NetworkFile, read_network
from sim_compress.frontend.origin import origin
from sim_compress.frontend.refusals import (
    RefusedNodesError,
    beyond_help,
    check_known_operators,
    refusal_message,
)
from sim_compress.frontend.registry import STANDARD
from sim_compress.frontend.sample_axis import with_sample_axis
from sim_compress.frontend.screening import screen
from sim_compress.frontend.sources import Content, Source
from sim_compress.frontend.straightening import straighten
from sim_compress.model import ImplicitModel, Shape

WHOLE_SAMPLES = (
    "the file's batch is fixed and its result depends on it, or it has none: every axis of the file is one "
    "of a sample's, and a batch axis stands before them"
)


@dataclass(frozen=True, eq=False)
class Teacher:
    """A pretrained network, exact.

    Attributes:
        path: the file it came from.
        graph: the cleaned network; the batch axis is symbolic and every activation has its shape.
        model: its implicit model.
        tensors: block name -> where the graph holds its pre-activation and its state; they are the same
            tensor where phi is the identity.
        outputs: output name -> name of its tensor in the graph.
        nodes: block or output name -> names of the nodes whose parameters it holds.
        notes: what was made of the file that its user should know.
        size: bytes of the file with its external data.
        sha256: hash of the same bytes.
        source: what the file says of itself, JSON values only.
    """

    path: Path
    graph: onnx.ModelProto
    model: ImplicitModel
    tensors: Mapping[str, StateTensors]
    outputs: Mapping[str, str]
    nodes: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...]
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
        """The part of the graph that computes some tensors from others, weights included.

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
        check_known_operators(file.model)
        original = batch.with_shapes(cleaning.normalise(file.model), input_shapes)
        batch.check_types(original)
        screen(original, batch.STAND_IN)
        dtypes, notes = _dtypes(file.model), ()
        try:
            cleaned, lowered = _with_free_batch(original, dtypes)
        except UnsupportedError as refusal:
            cleaned, lowered = _with_sample_axis(original, dtypes, input_shapes, refusal)
            notes = (WHOLE_SAMPLES,)
    except SimCompressError as error:
        graph = file.model.graph
        beyond = [] if isinstance(error, RefusedNodesError) else beyond_help(graph)
        if beyond:
            # What the error asks for would not help.
            raise UnsupportedError(f"{file.path}: {refusal_message(beyond, len(graph.node))}") from error
        raise type(error)(f"{file.path}: {error}") from error
    _annotate(cleaned.graph, lowered.shapes)
    return Teacher(
        file.path,
        cleaned,
        lowered.model,
        lowered.tensors,
        lowered.outputs,
        lowered.nodes,
        notes,
        file.size,
        file.sha256,
        origin(file.model),
    )


def _with_free_batch(original: onnx.ModelProto, dtypes: Mapping[str, str]) -> tuple[onnx.ModelProto, Lowered]:
    """The cleaned graph and its model, the first axis of every input being the batch."""
    batch.check_axes(original)
    cleaned, rebatched = _cleaned(original)
    lowered = lower(cleaned, _feature_shapes(cleaned), dtypes)
    repeat_joined_constants(cleaned.graph, lowered.shapes)
    if rebatched:
        batch.check_rebatched(original, cleaned, batch.batch_size(original))
    return cleaned, lowered


def _with_sample_axis(
    original: onnx.ModelProto,
    dtypes: Mapping[str, str],
    input_shapes: Mapping[str, Shape],
    refusal: UnsupportedError,
) -> tuple[onnx.ModelProto, Lowered]:
    """The cleaned graph and its model, every axis of the file being one of a sample's.

    Raises:
        UnsupportedError: why there is no batch in the file, where this way is closed too.
    """
    whole = batch.with_all_axes(original, input_shapes)
    if whole is None:
        raise refusal
    try:
        cleaned = cleaning.optimised(whole)
        cleaning.annotate(cleaned)
        batched = with_sample_axis(cleaned, _whole_shapes(cleaned), _opset(cleaned))
        cleaning.annotate(batched)
        lowered = lower(batched, _feature_shapes(batched), dtypes)
        repeat_joined_constants(batched.graph, lowered.shapes)
        batch.check_sample_axis(whole, batched)
    except (ModelFileError, UnsupportedError) as error:
        raise refusal from error
    return batched, lowered


def _opset(model: onnx.ModelProto) -> int:
    """Version of the standard operator set."""
    return next(o.version for o in model.opset_import if o.domain in STANDARD)


def _whole_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes of the activations that are wholly known."""
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    kinds = {v.name: v.type.tensor_type for v in values}
    return {
        name: tuple(d.dim_value for d in kind.shape.dim)
        for name, kind in kinds.items()
        if kind.HasField("shape") and all(d.dim_value > 0 for d in kind.shape.dim)
    }


def _cleaned(model: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
    """The optimised graph with a symbolic batch, and whether a fixed batch had to be freed for it."""
    size = batch.batch_size(model)
    graph = cleaning.optimised(model if size else batch.with_batch(model, batch.SYMBOL))
    if size is None and any(n.op_type in ("Shape", "Size") for n in graph.graph.node):
        # Shape arithmetic folds away only where the batch is a number.
        size = batch.STAND_IN
        graph = cleaning.optimised(batch.with_batch(model, size))
    if size is not None:
        cleaning.annotate(graph)
        graph = batch.freed(graph, size)
    cleaning.annotate(graph)
    straightened = straighten(graph)
    if straightened:
        cleaning.annotate(graph)
    opset = next(o.version for o in graph.opset_import if o.domain in STANDARD)
    if decompose(graph.graph, _feature_shapes(graph), opset):
        cleaning.annotate(graph)
    return graph, straightened or size is not None


def _dtypes(model: onnx.ModelProto) -> dict[str, str]:
    """numpy's names for the types of a file's inputs; bfloat16, which it has none for, comes as float32."""
    kinds = {i.name: i.type.tensor_type.elem_type for i in model.graph.input}
    return {
        name: "float32" if kind == onnx.TensorProto.BFLOAT16 else helper.tensor_dtype_to_np_dtype(kind).name
        for name, kind in kinds.items()
        if kind
    }


def _feature_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Per-sample shapes of the activations whose feature axes are known."""
    graph, shapes = model.graph, {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if dims and all(d.dim_value > 0 for d in dims[1:]):
            shapes[value.name] = tuple(d.dim_value for d in dims[1:])
    return shapes


def _annotate(graph: onnx.GraphProto, shapes: Mapping[str, Shape]) -> None:
    """Write the exact shape of every activation into the graph, so that any part of it can be cut out."""
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info, *graph.output)}
    infos = {
        name: helper.make_tensor_value_info(
            name, types.get(name, onnx.TensorProto.FLOAT), [batch.SYMBOL, *shape]
        )
        for name, shape in shapes.items()
    }
    ends = [o.name for o in graph.output]
    starts = {i.name for i in graph.input}
    del graph.value_info[:], graph.output[:]
    graph.output.extend(infos[name] for name in ends)
    graph.value_info.extend(info for name, info in infos.items() if name not in {*ends, *starts})
