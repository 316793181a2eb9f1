"""Values that stand in files beside a network: read into memory once, large weights outside of the graph."""

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor

from sim_compress.frontend.weights import NO_WEIGHTS, Weights, is_large, is_stub, room, single, stub
from sim_compress.model.maps import Array


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every dense tensor of a file: weights, attributes, in graphs inside nodes and in functions too."""
    yield from model.graph.initializer
    yield from _inner(model)


def _inner(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Those that are no initialisers of the network itself."""
    yield from _of_nodes(model.graph.node)
    for function in model.functions:
        yield from _of_nodes(function.node)


def read_external(model: onnx.ModelProto, folder: Path, known: Weights = NO_WEIGHTS) -> dict[str, Array]:
    """Read external data: large initialisers into weights, leaving stubs, all others into the model.

    What is not as long as its shape says goes into the model as it is.

    Args:
        known: weights by name; one that has the same values is used again.

    Raises:
        ValidationError, OSError, ValueError: a file cannot be read.
    """
    found: dict[str, Array] = {}
    for tensor in (*_inner(model), *(t for t in model.graph.initializer if not is_large(t))):
        if is_stub(tensor):
            load_external_data_for_tensor(tensor, str(folder))
    for tensor in model.graph.initializer:
        if not is_stub(tensor):
            continue
        values = None if tensor.name in found else _values(tensor, folder)
        if values is None:
            load_external_data_for_tensor(tensor, str(folder))
            continue
        same = known.get(tensor.name)
        found[tensor.name] = same if same is not None and _are_equal(same, values) else values
        tensor.CopyFrom(stub(tensor.name, values, tensor.name, tensor.data_type))
    return found


def _are_equal(one: Array, other: Array) -> bool:
    """Whether two float32 arrays have the same bits."""
    return one.shape == other.shape and np.array_equal(one.view(np.int32), other.view(np.int32))


def _values(tensor: onnx.TensorProto, folder: Path) -> Array | None:
    """The float32 values of a large tensor, None where its data are not as long as its shape says."""
    info = ExternalDataInfo(tensor)
    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type).newbyteorder("<")
    size, start = kind.itemsize * prod(tensor.dims), int(info.offset or 0)
    with (folder / info.location).open("rb") as file:
        end = file.seek(0, 2)
        length = int(info.length) if info.length else end - start
        if start < 0 or length != size or start + size > end:
            return None
        file.seek(start)
        if kind != np.float32:
            return single(np.frombuffer(file.read(size), kind).reshape(tuple(tensor.dims)))
        values = room(tensor.dims)
        return values if file.readinto(values.reshape(-1).view(np.uint8).data) == size else None


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.TensorProto]:
    for attribute in (a for node in nodes for a in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _of_graph(inner)
