"""Tensors that a file stores: as many values as their shapes say, wherever in the file they stand."""

from math import prod

import onnx
from onnx import helper

from sim_compress.errors import ModelFileError
from sim_compress.frontend.read.external_data import tensors
from sim_compress.frontend.weights import is_stub

# Element types of less than a byte, by name: older versions of onnx lack some. Bits of one value.
NARROW = {"UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "UINT2": 2, "INT2": 2}
# Fields of a TensorProto that hold values one by one.
FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
COMPLEX = (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)


def check_stored(model: onnx.ModelProto) -> None:
    """Refuse tensors that declare other sizes than they have values, and sparse weights.

    External data must have been read; what is a stub since then has the size that it declares.

    Raises:
        ModelFileError: names the tensor.
    """
    for tensor in tensors(model):
        if is_stub(tensor):
            continue
        name = f"tensor {tensor.name!r}" if tensor.name else "a constant without a name"
        bits = _bits(tensor)
        if bits is None:
            raise ModelFileError(f"{name} has the unknown element type {tensor.data_type}; export it again")
        declared, held = prod(tensor.dims), _held(tensor, bits)
        # The last byte of narrow values may be filled up.
        spare = 0 if bits >= 8 else 8 // bits - 1
        if min(tensor.dims, default=0) < 0 or not declared <= held <= declared + spare:
            raise ModelFileError(
                f"{name} declares the shape {tuple(tensor.dims)}, which is {declared} values, but holds "
                f"{held}; the file is damaged, export it again"
            )
    if model.graph.sparse_initializer:
        raise ModelFileError(
            f"weight {model.graph.sparse_initializer[0].values.name!r} is stored as a sparse tensor, which "
            "is not supported; export it as a dense tensor"
        )


def _bits(tensor: onnx.TensorProto) -> int | None:
    """Bits of one value, 8 for text of any length; None where there is no such type."""
    kinds = onnx.TensorProto.DataType
    if tensor.data_type not in kinds.values() or tensor.data_type == onnx.TensorProto.UNDEFINED:
        return None
    if narrow := NARROW.get(kinds.Name(tensor.data_type)):
        return narrow
    if tensor.data_type == onnx.TensorProto.STRING:
        return 8
    return 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize


def _held(tensor: onnx.TensorProto, bits: int) -> int:
    """How many values a tensor holds."""
    if tensor.HasField("raw_data"):
        return len(tensor.raw_data) * 8 // bits
    count = max(len(getattr(tensor, field)) for field in FIELDS)
    if tensor.data_type in COMPLEX:
        return count // 2
    # Narrow values stand in bytes, each of which is one number of the field.
    return count * max(1, 8 // bits)
