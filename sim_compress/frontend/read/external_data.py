"""Values that stand in files beside a network: large weights, each read or mapped once, and all others."""

import mmap
from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper
from onnx.external_data_helper import ExternalDataInfo, load_external_data_for_tensor

from sim_compress.frontend.weights import NO_WEIGHTS, Weights, is_large, is_stub, room, single, stub
from sim_compress.model.maps import Array
from sim_compress.storage import let_go, mapped_file, pieces


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every dense tensor of a file: weights, attributes, in graphs inside nodes and in functions too."""
    yield from model.graph.initializer
    yield from _inner(model)


def _inner(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Those that are no initialisers of the network itself."""
    yield from _of_nodes(model.graph.node)
    for function in model.functions:
        yield from _of_nodes(function.node)


def read_external(
    model: onnx.ModelProto, folder: Path, known: Weights = NO_WEIGHTS, *, mapped: bool = False
) -> dict[str, Array]:
    """Read external data: large initialisers into weights, leaving stubs, all others into the model.

    What is not as long as its shape says goes into the model as it is.

    Args:
        known: weights by name; one that has the same values is used again.
        mapped: whether large weights stay in their files, which must not change while they are used.

    Raises:
        ValidationError, OSError, ValueError: a file cannot be read.
    """
    found: dict[str, Array] = {}
    files = _Files(folder) if mapped else None
    for tensor in (*_inner(model), *(t for t in model.graph.initializer if not is_large(t))):
        if is_stub(tensor):
            load_external_data_for_tensor(tensor, str(folder))
    for tensor in model.graph.initializer:
        if not is_stub(tensor):
            continue
        values = None if tensor.name in found else _values(tensor, folder, files)
        if values is None:
            load_external_data_for_tensor(tensor, str(folder))
            continue
        same = known.get(tensor.name)
        found[tensor.name] = same if same is not None and _are_equal(same, values) else values
        tensor.CopyFrom(stub(tensor.name, values, tensor.name, tensor.data_type))
    return found


def _are_equal(one: Array, other: Array) -> bool:
    """Whether two float32 arrays have the same bits."""
    if one.shape != other.shape:
        return False
    both = zip(pieces(one.view(np.int32)), pieces(other.view(np.int32)), strict=True)
    equal = all(np.array_equal(a, b) for a, b in both)
    let_go(one)
    let_go(other)
    return equal


class _Files:
    """Mapped files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._maps = folder, dict[str, mmap.mmap]()

    def part(self, name: str, kind: np.dtype[Any], shape: tuple[int, ...], start: int) -> Array:
        """Numbers of a file, as they lie there."""
        if name not in self._maps:
            self._maps[name] = mapped_file(self._folder / name, steady=True)
        return np.frombuffer(self._maps[name], kind, prod(shape), start).reshape(shape)


def _values(tensor: onnx.TensorProto, folder: Path, files: _Files | None) -> Array | None:
    """The float32 values of a large tensor, None where its data are not as long as its shape says."""
    info = ExternalDataInfo(tensor)
    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type).newbyteorder("<")
    size, start = kind.itemsize * prod(tensor.dims), int(info.offset or 0)
    with (folder / info.location).open("rb") as file:
        end = file.seek(0, 2)
        length = int(info.length) if info.length else end - start
        if start < 0 or length != size or start + size > end:
            return None
        if files is not None:
            values = files.part(info.location, kind, tuple(tensor.dims), start)
            # onnxruntime maps the file by itself: where in it they begin does not matter.
            return values if kind == np.float32 and values.flags.aligned else single(values)
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
