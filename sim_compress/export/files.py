"""A graph as its files: one, or a second one for weights where one protobuf message is too small."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

MAX_BYTES = 2**31 - 1
# Smaller tensors stay in the graph: shape inference reads them.
SMALLEST_OUTSIDE = 1024
# The format asks for places that a map of the file can begin at.
PAGE = 4096
# The bytes of a file, or what writes them into it.
Content = bytes | Callable[[Path], None]
Numbers = bytes | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Exported:
    """A graph, and the numbers of its large constants beside it.

    Attributes:
        graph: without them.
        values: name of a constant -> numbers, in C order.
    """

    graph: onnx.ModelProto
    values: Mapping[str, NDArray[Any]]

    def whole(self) -> onnx.ModelProto:
        """The graph with all numbers in it."""
        if not self.values:
            return self.graph
        copy = onnx.ModelProto()
        copy.CopyFrom(self.graph)
        for tensor in copy.graph.initializer:
            if tensor.name in self.values:
                tensor.raw_data = self.values[tensor.name].tobytes()
        return copy

    def numbers(self, tensor: onnx.TensorProto) -> Numbers:
        """Those of one constant."""
        return self.values.get(tensor.name, tensor.raw_data)

    def size(self, tensor: onnx.TensorProto) -> int:
        """Bytes of the numbers of one constant."""
        numbers = self.numbers(tensor)
        return len(numbers) if isinstance(numbers, bytes) else numbers.nbytes

    @property
    def total(self) -> int:
        """Bytes of the whole graph, about."""
        tensors = self.graph.graph.initializer
        return _without_weights(self.graph).ByteSize() + sum(
            128 + len(t.name) + self.size(t) for t in tensors
        )


def files_of(exported: Exported, name: str, most: int = MAX_BYTES) -> dict[str, Content]:
    """The contents of files by name: one, or with NAME.data beside it where that takes more than `most`."""
    if exported.total <= most:
        return {name: exported.whole().SerializeToString()}
    beside, place = list[Numbers](), 0
    outside = _without_weights(exported.graph)
    for tensor in exported.graph.graph.initializer:
        kept, size = outside.graph.initializer.add(), exported.size(tensor)
        if size < SMALLEST_OUTSIDE:
            kept.CopyFrom(tensor)
            continue
        kept.name, kept.data_type = tensor.name, tensor.data_type
        kept.dims.extend(tensor.dims)
        kept.data_location = onnx.TensorProto.EXTERNAL
        for key, value in {"location": f"{name}.data", "offset": place, "length": size}.items():
            kept.external_data.add(key=key, value=str(value))
        gap = -size % PAGE
        beside += [exported.numbers(tensor), bytes(gap)]
        place += size + gap
    return {name: outside.SerializeToString(), f"{name}.data": partial(_write, beside)}


def _write(parts: list[Numbers], path: Path) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part if isinstance(part, bytes) else part.reshape(-1).view(np.uint8).data)


def check(exported: Exported, most: int = MAX_BYTES) -> None:
    """onnx's full check; numbers that one message does not hold are checked as inputs of their shape."""
    graph = exported.graph
    if not exported.values and exported.total <= most:
        onnx.checker.check_model(graph, full_check=True)
        return
    bare = _without_weights(graph)
    for tensor in graph.graph.initializer:
        if exported.size(tensor) < SMALLEST_OUTSIDE:
            bare.graph.initializer.append(tensor)
        else:
            kind = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            bare.graph.input.append(kind)
    onnx.checker.check_model(bare, full_check=True)


def _without_weights(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without initialisers, which together may be more than a message holds."""
    copy = onnx.ModelProto(
        ir_version=graph.ir_version, producer_name=graph.producer_name, doc_string=graph.doc_string
    )
    copy.opset_import.extend(graph.opset_import)
    copy.metadata_props.extend(graph.metadata_props)
    own = graph.graph
    copy.graph.name, copy.graph.doc_string = own.name, own.doc_string
    copy.graph.node.extend(own.node)
    copy.graph.input.extend(own.input)
    copy.graph.output.extend(own.output)
    return copy
