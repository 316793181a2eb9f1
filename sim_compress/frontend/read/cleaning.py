"""Clean-up of a graph by onnxruntime: batch norms, constants and shape arithmetic are folded away."""

import os
import tempfile
from collections.abc import Iterator
from math import prod
from pathlib import Path

import onnx

from sim_compress.errors import ModelFileError
from sim_compress.frontend.needed import needed
from sim_compress.frontend.nodes import STANDARD
from sim_compress.frontend.quiet import first_line, open_session
from sim_compress.frontend.read.external_data import read_external
from sim_compress.frontend.read.floats import in_float32
from sim_compress.frontend.weights import Weights, keys, used
from sim_compress.model.maps import Array
from sim_compress.storage import is_mapped

# Initialisers need not be inputs from version 4 on; onnxruntime may lag behind the newest version.
OLDEST_IR, NEWEST_IR = 4, 10
# The newest operator set that every onnxruntime of the versions this package allows knows.
NEWEST_OPSET = 21
MAX_BYTES = 2**31 - 1
# Bytes that onnxruntime writes beside a network: shapes of its tensors, the operator sets that it knows.
WRITTEN_BESIDE = 2**16
# Larger constants are weights: no shape follows from their values.
LARGEST_SETTING = 4096


def normalise(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in float32 whose inputs are the true inputs only, of a version that onnxruntime reads.

    Raises:
        ModelFileError: the network is larger than one protobuf message may be.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = min(max(copy.ir_version, OLDEST_IR), NEWEST_IR)
    _name_standard(copy)
    _date_back(copy)
    # An initialiser that is also an input could be overridden, so nothing would be folded into it.
    constants = {i.name for i in copy.graph.initializer}
    inputs = [i for i in copy.graph.input if i.name not in constants]
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    in_float32(copy)
    if copy.ByteSize() > MAX_BYTES:
        raise ModelFileError("networks over 2 GiB are not supported; cut the network into parts")
    return copy


def _written(model: onnx.ModelProto, weights: Weights) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The optimised network with its weights, arrays of the original where they are the same."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "optimised.onnx"
        held = used(model.graph, weights)
        try:
            open_session(model, weights, target)
        except ModelFileError:
            _check_room(target, model.ByteSize() + sum(v.nbytes for v in held.values()) + WRITTEN_BESIDE)
            raise
        written = onnx.load(target, load_external_data=False)
        _keep_order(written.graph, model.graph)
        # A file that is mapped stays there without its name, but on Windows.
        mapped = os.name != "nt" and any(map(is_mapped, held.values()))
        return written, read_external(written, target.parent, held, mapped=mapped)


def _keep_order(written: onnx.GraphProto, given: onnx.GraphProto) -> None:
    """Nodes that onnxruntime left as they were in the order that they had; it writes them in its own."""
    place = {(n.op_type, *n.output): i for i, n in enumerate(given.node)}
    places = {place.get((n.op_type, *n.output), -1): n for n in written.node}
    if places.keys() == set(range(len(given.node))):
        nodes = [places[i] for i in range(len(given.node))]
        ordered = onnx.GraphProto()
        ordered.node.extend(nodes)
        del written.node[:]
        written.node.extend(ordered.node)


def _check_room(target: Path, size: int) -> None:
    """ModelFileError where a temporary file cannot hold a network: onnxruntime blames the network."""
    try:
        target.write_bytes(bytes(size))
    except OSError as error:
        raise ModelFileError(
            f"the temporary folder {target.parent.parent} cannot hold the {size:,} bytes of the network "
            f"({error.strerror}): make room, or set TMPDIR to another folder"
        ) from error


def _has_constant_nodes(graph: onnx.GraphProto) -> bool:
    """Whether a node reads constants alone."""
    constants = {i.name for i in graph.initializer}
    return any(set(n.input) <= constants for n in graph.node)


def _name_standard(model: onnx.ModelProto) -> None:
    """The standard operator set by its short name: onnx's shape inference knows no other."""
    for entry in (*model.opset_import, *_nodes(model.graph)):
        if entry.domain in STANDARD:
            entry.domain = ""


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes, those in graphs of nodes too."""
    for node in graph.node:
        yield node
        for inner in (g for a in node.attribute for g in (a.g, *a.graphs)):
            yield from _nodes(inner)


def _date_back(model: onnx.ModelProto) -> None:
    """Declare an older operator set where every node means the same in it."""
    for entry in model.opset_import:
        if entry.domain in STANDARD and entry.version > NEWEST_OPSET:
            known = min(entry.version, onnx.defs.onnx_opset_version())
            nodes = [n for n in model.graph.node if n.domain in STANDARD]
            inner = any(a.HasField("g") or a.graphs for n in nodes for a in n.attribute)
            since = [onnx.defs.get_schema(n.op_type, known, "").since_version for n in nodes]
            if not inner and max(since, default=1) <= NEWEST_OPSET:
                entry.version = NEWEST_OPSET


def optimised(model: onnx.ModelProto, weights: Weights) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The graph after onnxruntime's basic optimisation, without nodes that no output needs, and its weights.

    Raises:
        ModelFileError: onnxruntime refuses the network, or there is no room for a temporary copy.
    """
    written, kept = _written(model, weights)
    if _has_constant_nodes(written.graph):
        # Operators without a kernel are replaced by their bodies after constants are folded.
        written, kept = _written(written, kept)
    part = needed(written, written.graph.output)
    # onnxruntime lists every operator set it knows.
    used = {n.domain for n in part.graph.node} | {""}
    opsets = [o for o in part.opset_import if o.domain in used]
    del part.opset_import[:]
    part.opset_import.extend(opsets)
    return part, {name: kept[name] for name in keys(part.graph)}


def annotate(model: onnx.ModelProto) -> None:
    """Write the shapes of all tensors into the graph, as far as they follow.

    Raises:
        ModelFileError: the nodes contradict each other.
    """
    known = annotated(model)
    graph = model.graph
    del graph.value_info[:], graph.output[:]
    graph.value_info.extend(known.value_info)
    graph.output.extend(known.output)


def annotated(model: onnx.ModelProto) -> onnx.GraphProto:
    """The nodes with the shapes of all tensors, as far as they follow; weights are not copied.

    Raises:
        ModelFileError: the nodes contradict each other.
    """
    graph = model.graph
    bare = onnx.ModelProto(ir_version=model.ir_version)
    bare.opset_import.extend(model.opset_import)
    bare.graph.name = graph.name
    bare.graph.node.extend(graph.node)
    bare.graph.input.extend(graph.input)
    bare.graph.output.extend(graph.output)
    for constant in graph.initializer:
        if prod(constant.dims) <= LARGEST_SETTING:
            bare.graph.initializer.append(constant)
        else:
            kind = onnx.helper.make_tensor_value_info(constant.name, constant.data_type, constant.dims)
            bare.graph.input.append(kind)
    try:
        return onnx.shape_inference.infer_shapes(bare).graph
    except (onnx.shape_inference.InferenceError, ValueError) as error:
        raise ModelFileError(f"the shapes of its tensors do not follow: {first_line(error)}") from error
