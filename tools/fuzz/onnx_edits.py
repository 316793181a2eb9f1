"""Changes of an ONNX network: attributes, shapes, constants, wiring and types."""

from collections.abc import Callable
from random import Random

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper

from tools.fuzz import damage, numbers
from tools.fuzz.random_networks import UNARY

Edit = Callable[[Random, onnx.ModelProto], None]
BINARY = (
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Max",
    "Min",
    "MatMul",
    "Mod",
    "Greater",
    "Equal",
    "And",
    "Concat",
)
OTHERS = (
    *("Identity", "Softmax", "Transpose", "Flatten", "Shape", "Size", "GlobalMaxPool", "ReduceSum", "ArgMax"),
    *(
        "Cast",
        "Gather",
        "Conv",
        "Gemm",
        "NonZero",
        "Not",
        "IsNaN",
        "CumSum",
        "TopK",
        "LSTM",
        "Loop",
        "NoSuch",
    ),
)
KINDS = tuple(range(24))


def _integer(rng: Random, found: int) -> int:
    """Another whole number, most often a near one; protobuf holds 64 bits."""
    chosen = rng.choice((found + 1, found - 1, -found, 2 * found, rng.randint(-3, 8), numbers.integer(rng)))
    return chosen if -(2**63) <= chosen < 2**63 else 2**63 - 1


def _attribute(rng: Random, model: onnx.ModelProto) -> None:
    nodes = [n for n in model.graph.node if n.attribute]
    if not nodes:
        return
    node = rng.choice(nodes)
    a = rng.choice(node.attribute)
    if rng.random() < 0.15:
        node.attribute.remove(a)
    elif a.type == AttributeProto.INT:
        a.i = _integer(rng, a.i)
    elif a.type == AttributeProto.FLOAT:
        border = max(min(numbers.real(rng), 3.4e38), -3.4e38)
        a.f = border if rng.random() < 0.9 else rng.choice((np.inf, np.nan))
    elif a.type == AttributeProto.INTS and a.ints:
        place = rng.randrange(len(a.ints))
        match rng.randrange(4):
            case 0:
                del a.ints[place]
            case 1:
                a.ints.append(rng.choice(a.ints))
            case _:
                a.ints[place] = _integer(rng, a.ints[place])
    elif a.type == AttributeProto.STRING:
        a.s = rng.choice(
            (
                b"",
                b"linear",
                b"cubic",
                b"same_upper",
                b"SAME_UPPER",
                b"align_corners",
                b"bij,jk->b",
                a.s[::-1],
            )
        )


def _shape(rng: Random, model: onnx.ModelProto) -> None:
    graph = model.graph
    values = [
        v
        for v in (*graph.input, *graph.input, *graph.output, *graph.value_info)
        if v.type.tensor_type.shape.dim
    ]
    if not values:
        return
    dims = rng.choice(values).type.tensor_type.shape.dim
    place = rng.randrange(len(dims))
    match rng.randrange(5):
        case 0:
            dims[place].dim_param = rng.choice(("N", "M", "batch", ""))
        case 1:
            del dims[place]
        case 2:
            dims.add().dim_value = rng.choice((1, 3))
        case _:
            dims[place].dim_value = _integer(rng, dims[place].dim_value)


def _constant(rng: Random, model: onnx.ModelProto) -> None:
    if not model.graph.initializer:
        return
    tensor = rng.choice(model.graph.initializer)
    match rng.randrange(6):
        case 0 if tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = _integer(rng, tensor.dims[0])
        case 1:
            tensor.data_type = rng.choice(KINDS)
        case 2 if tensor.raw_data:
            tensor.raw_data = rng.choice((damage.truncated, damage.extended, damage.flipped))(
                rng, tensor.raw_data
            )
        case _:
            _value(rng, tensor)


def _value(rng: Random, tensor: TensorProto) -> None:
    """One number at a border, the others as they are."""
    values = np.array(numpy_helper.to_array(tensor))
    if not values.size:
        return
    place = rng.randrange(values.size)
    if values.dtype.kind == "f":
        with np.errstate(all="ignore"):
            values.flat[place] = rng.choice((numbers.real(rng), np.inf, np.nan, 0.0, -1.0))
    elif values.dtype.kind == "i":
        most = np.iinfo(values.dtype)
        values.flat[place] = max(min(_integer(rng, int(values.flat[place])), most.max), most.min)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _wiring(rng: Random, model: onnx.ModelProto) -> None:
    graph = model.graph
    node = rng.choice(graph.node)
    names = [*(n for other in graph.node for n in other.output), *(i.name for i in graph.input)]
    names += [t.name for t in graph.initializer]
    place = rng.randrange(max(1, len(node.input)))
    match rng.randrange(6):
        case 0 if len(node.input) > 1:
            node.input[0], node.input[1] = node.input[1], node.input[0]
        case 1 if node.input:
            del node.input[place]
        case 2:
            node.input.append(rng.choice(names))
        case 3 if node.output:
            node.output[0] = rng.choice((*names, "", "elsewhere"))
        case 4:
            rng.choice(graph.output).name = rng.choice(names)
        case _ if node.input:
            node.input[place] = rng.choice((*names, "", "nowhere"))


def _operator(rng: Random, model: onnx.ModelProto) -> None:
    graph = model.graph
    place = rng.randrange(len(graph.node))
    node = graph.node[place]
    match rng.randrange(6):
        case 0 if len(graph.node) > 1:
            del graph.node[place]
        case 1:
            graph.node.add().CopyFrom(node)
        case 2:
            other = rng.randrange(len(graph.node))
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            node.CopyFrom(graph.node[other])
            graph.node[other].CopyFrom(copy)
        case 3:
            node.domain = rng.choice(("ai.onnx", "ai.onnx.ml", "com.microsoft", "nowhere"))
        case _:
            alike = UNARY if len(node.input) == 1 else BINARY
            node.op_type = rng.choice((*alike, *alike, *OTHERS))
            if rng.random() < 0.5:
                del node.attribute[:]


def _type(rng: Random, model: onnx.ModelProto) -> None:
    value = rng.choice((*model.graph.input, *model.graph.output))
    match rng.randrange(4):
        case 0:
            model.opset_import[0].version = rng.choice(
                (1, 6, 7, 9, 11, 12, 13, 18, 20, 21, 22, 23, 99, 2**31, -1)
            )
        case 1:
            model.ir_version = rng.choice((0, 1, 3, 4, 9, 10, 11, 99, 2**62))
        case _:
            value.type.tensor_type.elem_type = rng.choice((*KINDS, *(1, 10, 11, 16, 7, 6, 9) * 3))


def _graph(rng: Random, model: onnx.ModelProto) -> None:
    """Inputs and outputs: one more, one less, the same twice."""
    graph = model.graph
    values = rng.choice((graph.input, graph.output))
    match rng.randrange(3):
        case 0 if values:
            values.add().CopyFrom(rng.choice(values))
        case 1 if values:
            del values[rng.randrange(len(values))]
        case _:
            values.add().CopyFrom(rng.choice((*graph.input, *graph.output)))


EDITS: dict[str, Edit] = {
    "attributes": _attribute,
    "shapes": _shape,
    "constants": _constant,
    "wiring": _wiring,
    "operators": _operator,
    "types": _type,
    "inputs and outputs": _graph,
}
