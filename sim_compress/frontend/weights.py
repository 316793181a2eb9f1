"""Large weights of a network, held once beside its protobuf: copies of the graph cost next to nothing.

A large initialiser is a stub: a TensorProto with the shape of its values, whose external data stands under
a key in the weights that go with the graph, and in no file. What reads an initialiser reads it through
`to_array`, what runs a graph is given both (`quiet.open_session`), and `whole` puts them together again.
"""

from collections.abc import Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper

from sim_compress.model.maps import Array
from sim_compress.storage import is_mapped, on_disk

# Key -> float32 values, which are not written to.
Weights: TypeAlias = Mapping[str, Array]
NO_WEIGHTS: Weights = MappingProxyType({})
# Shapes, places and masks of up to so many entries are read by onnx's own inference, and stay in the graph.
LARGEST_INSIDE = 4096
# onnxruntime copies what does not begin on a page of memory: a session of BERT-base took 430 MB, now 105 MB.
PAGE = 4096
EXTERNAL = onnx.TensorProto.EXTERNAL
_TYPES = onnx.TensorProto
# What sizes and conditions are computed from has other types.
KINDS = frozenset({_TYPES.FLOAT, _TYPES.FLOAT16, _TYPES.BFLOAT16, _TYPES.DOUBLE})


def is_large(tensor: onnx.TensorProto) -> bool:
    """Whether an initialiser is held outside of its graph."""
    return (
        tensor.data_type in KINDS and min(tensor.dims, default=0) > 0 and prod(tensor.dims) > LARGEST_INSIDE
    )


def is_stub(tensor: onnx.TensorProto) -> bool:
    """Whether the values of a tensor are held outside of its graph."""
    return tensor.data_location == EXTERNAL


def key_of(tensor: onnx.TensorProto) -> str:
    """The key of a stub."""
    return next(e.value for e in tensor.external_data if e.key == "location")


def to_array(tensor: onnx.TensorProto, weights: Weights) -> Array:
    """The values of a tensor; those of a stub are float32 and not copied."""
    return weights[key_of(tensor)] if is_stub(tensor) else numpy_helper.to_array(tensor)


def inside(tensor: onnx.TensorProto, weights: Weights) -> onnx.TensorProto:
    """The tensor with its values in it."""
    return numpy_helper.from_array(weights[key_of(tensor)], tensor.name) if is_stub(tensor) else tensor


def stub(name: str, values: Array, key: str, kind: int = _TYPES.FLOAT) -> onnx.TensorProto:
    """What stands for values in a graph; a network in another precision has float32 values too."""
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=values.shape, data_location=EXTERNAL)
    tensor.external_data.add(key="location", value=key)
    return tensor


def keys(graph: onnx.GraphProto) -> set[str]:
    """The keys of a graph's stubs."""
    return {key_of(i) for i in graph.initializer if is_stub(i)}


def used(graph: onnx.GraphProto, weights: Weights) -> dict[str, Array]:
    """Initialiser name -> values, of the stubs of a graph."""
    return {i.name: to_array(i, weights) for i in graph.initializer if is_stub(i)}


def whole(model: onnx.ModelProto, weights: Weights) -> onnx.ModelProto:
    """A copy of a network that holds its weights itself, as it is saved.

    Raises:
        ValueError: it is larger than one protobuf message may be.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if is_stub(tensor):
            tensor.CopyFrom(inside(tensor, weights))
    return copy


def taken_out(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A copy without the values of large initialisers, and these by name; stubs stand for them.

    The model loses them too: it is not read again.
    """
    found: dict[str, Array] = {}
    for tensor in model.graph.initializer:
        if is_large(tensor) and not is_stub(tensor) and tensor.name not in found:
            found[tensor.name] = single(numpy_helper.to_array(tensor))
            tensor.CopyFrom(stub(tensor.name, found[tensor.name], tensor.name, tensor.data_type))
    # A message does not give back the memory of what it held.
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy, found


def single(values: Array) -> Array:
    """Values as float32 where onnxruntime need not copy them; themselves where they are that.

    What lies in a file stays in one.
    """
    if values.dtype == np.float32 and values.flags.c_contiguous and values.ctypes.data % PAGE == 0:
        return values
    found = room(values.shape, in_file=is_mapped(values))
    # Bounds beyond float32, as masks have them, become infinite.
    with np.errstate(over="ignore"):
        found[...] = values
    return found


def room(shape: Sequence[int], *, in_file: bool = False) -> Array:
    """An empty float32 array that begins on a page of memory, or zeros in a mapped file that do."""
    size = prod(shape)
    if in_file:
        return on_disk(4 * size, np.float32).reshape(shape)
    # Of the same type: scipy copies what it takes for a small part of a larger array.
    found = np.empty(size + PAGE // 4, np.float32)
    start = -found.ctypes.data % PAGE // 4
    return found[start : start + size].reshape(shape)
