"""One walk over a network before it is cleaned: sizes within bounds, nothing random, nothing fatal."""

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
from onnx import TypeProto, helper

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.budget import LARGEST, LARGEST_BATCH, in_units
from sim_compress.frontend.read.screening.known import Seen, Walk, is_open, shape_of
from sim_compress.frontend.read.screening.training import training
from sim_compress.frontend.refusals import Refused, RefusedNodesError, refusal_message
from sim_compress.frontend.weights import Weights, used

# Constants that clean-up may compute: so many times the bytes of the file, for weights that are turned and
# unpacked, and so many bytes more, for masks and tables of positions.
CONSTANTS_PER_BYTE = 8
CONSTANTS = 2**28
SMALLER = (
    "give the network smaller inputs, or cut it before this node (onnx.utils.extract_model) and compress "
    "the part that is left"
)


def screen(model: onnx.ModelProto, weights: Weights, batch: int) -> None:
    """Refuse a network that takes too much memory, or computes something else each time.

    Args:
        model: standard operators alone, its tensors as large as they say.
        weights: those of its stubs.
        batch: size that stands for the batch where the file leaves it open.

    Raises:
        UnsupportedError: names the node, the size and what to do.
    """
    first = [i.type.tensor_type.shape.dim for i in model.graph.input]
    fixed = max((d[0].dim_value for d in first if d), default=1)
    samples = fixed if fixed > 0 else batch
    stored = model.ByteSize() + sum(v.nbytes for v in used(model.graph, weights).values())
    allowed = CONSTANTS_PER_BYTE * stored + CONSTANTS
    refused, walk = [], Walk(model, weights, batch)
    for name, kind in walk.inputs.items():
        _check_size(f"input {name!r}", {name: kind}, samples, fixed > 0)
    for seen in walk:
        place = f"{seen.node.op_type} {_name(seen.node)!r}"
        _check_division(place, seen)
        if reason := training(seen, walk.opset):
            refused.append(Refused.of(seen.node, reason))
        if seen.constant:
            allowed = _after_constants(place, seen, allowed)
        else:
            _check_size(place, seen.types, samples, fixed > 0)
    if refused:
        raise RefusedNodesError(refusal_message(refused, len(model.graph.node)))


def _name(node: onnx.NodeProto) -> str:
    return node.name or f"-> {', '.join(node.output)}"


def _bytes(kind: TypeProto) -> int:
    """Size of a tensor with its open axes as 1, 0 where nothing of it is known."""
    shape, number = shape_of(kind), kind.tensor_type.elem_type
    if shape is None or not number or number == onnx.TensorProto.STRING:
        return 0
    return prod(abs(d) for d in shape) * helper.tensor_dtype_to_np_dtype(number).itemsize


def _shown(kind: TypeProto) -> str:
    shape = ["?" if d < 0 else str(d) for d in shape_of(kind) or ()]
    return f"{onnx.TensorProto.DataType.Name(kind.tensor_type.elem_type).lower()} {' x '.join(shape)}"


def _check_size(place: str, types: Mapping[str, TypeProto], samples: int, fixed: bool) -> None:
    for name, kind in types.items():
        size = _bytes(kind)
        if size > LARGEST * samples:
            over, most = f"{in_units(size / samples)} a sample", LARGEST
        elif fixed and size > LARGEST_BATCH:
            over, most = f"{in_units(size)} for its batch of {samples}", LARGEST_BATCH
        else:
            continue
        raise UnsupportedError(
            f"{place}: the tensor {name!r} would take {over} ({_shown(kind)} for {samples} samples), more "
            f"than the {in_units(most)} that are supported; {SMALLER}"
        )


def _after_constants(place: str, seen: Seen, allowed: int) -> int:
    """Bytes of constants that may still be computed after a node's."""
    for name in filter(None, seen.node.output):
        kind = seen.types.get(name)
        if kind is None or is_open(kind):
            raise UnsupportedError(
                f"{place}: the size of the constant {name!r} cannot be told without computing it; export the "
                "network with its constants folded"
            )
        allowed -= _bytes(kind)
        if allowed < 0:
            raise UnsupportedError(
                f"{place}: the constant {name!r} would take {in_units(_bytes(kind))} ({_shown(kind)}), and "
                f"all constants together more than {in_units(CONSTANTS)} and {CONSTANTS_PER_BYTE} times the "
                f"file; {SMALLER}"
            )
    return allowed


def _check_division(place: str, seen: Seen) -> None:
    """Division of whole numbers by zero ends the process in which onnxruntime folds constants."""
    if seen.node.op_type not in ("Div", "Mod"):
        return
    divisor = seen.value(1)
    if divisor is None or divisor.dtype.kind not in "iu":
        return
    dividend = seen.value(0)
    if (divisor == 0).any():
        raise UnsupportedError(f"{place}: divides whole numbers by zero; export the network again")
    if dividend is None or dividend.dtype.kind != "i":
        return
    if (divisor == -1).any() and (dividend == np.iinfo(dividend.dtype).min).any():
        raise UnsupportedError(f"{place}: divides the lowest whole number by -1, which has no result")
