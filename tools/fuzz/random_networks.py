"""ONNX networks of many kinds, small: layers by name, put together with random sizes."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.fuzz import numbers

OPSETS = (11, 13, 15, 17, 18, 21)
IR_VERSION = 8
UNARY = (
    *("Relu", "Tanh", "Sigmoid", "Softplus", "Erf", "Abs", "Exp", "Sqrt", "Neg", "Floor", "Sign", "Softsign"),
    *("LeakyRelu", "Elu", "HardSigmoid", "Selu", "Sin", "Reciprocal", "Celu", "Round", "Log", "HardSwish"),
)
SINCE = {"Celu": 12, "HardSwish": 14}


class Making:
    """A graph in the making; every method that adds a node gives the name of its output."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.opset = rng, rng.choice(OPSETS)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[str] = []
        self.batch: Any = rng.choice(("N", "N", "N", 1, 2))

    def input(self, *shape: int, kind: int = TensorProto.FLOAT) -> str:
        """A graph input of a sample's shape."""
        name = f"u{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, kind, [self.batch, *shape]))
        return name

    def node(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; a name, or several."""
        number = len(self.nodes)
        names = [f"t{number}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, f"n{number}", **attributes))
        return names[0] if outputs == 1 else names

    def weight(self, *shape: int) -> str:
        """A float constant."""
        return self.constant(numbers.spread(self.rng, shape, 0.0))

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        array = np.asarray(values, dtype if not isinstance(values, np.ndarray) else None)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        """A constant of whole numbers."""
        return self.constant(list(values), np.int64)

    def activated(self, x: str) -> str:
        """A node of one input and one output."""
        return self.node(self.rng.choice([u for u in UNARY if SINCE.get(u, 1) <= self.opset]), x)

    def dense(self, x: str, columns: int, rows: int) -> str:
        """A Gemm, or a MatMul with an Add."""
        if self.rng.random() < 0.5:
            return self.node("Gemm", x, self.weight(rows, columns), self.weight(rows), transB=1)
        return self.node("Add", self.node("MatMul", x, self.weight(columns, rows)), self.weight(rows))

    def conv(self, x: str, columns: int, rows: int, kernel: int = 3, **attributes: Any) -> str:
        """A convolution that keeps the size."""
        groups = attributes.get("group", 1)
        weight = self.weight(rows, columns // groups, kernel, kernel)
        pads = [kernel // 2] * 4
        return self.node("Conv", x, weight, self.weight(rows), pads=pads, **attributes)

    def reduced(self, operator: str, x: str, axes: Sequence[int], keepdims: int = 1) -> str:
        """A reduction, its axes where the operator set has them."""
        if self.opset < (13 if operator == "ReduceSum" else 18):
            return self.node(operator, x, axes=list(axes), keepdims=keepdims)
        return self.node(operator, x, self.ints(*axes), keepdims=keepdims)

    def model(self) -> onnx.ModelProto:
        """The network, with the shapes that follow."""
        ends = [onnx.ValueInfoProto(name=n) for n in self.outputs]
        for end in ends:
            end.type.tensor_type.elem_type = TensorProto.FLOAT
        graph = helper.make_graph(self.nodes, "network", self.inputs, ends, self.constants)
        opset = helper.make_opsetid("", self.opset)
        made = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[opset])
        return onnx.shape_inference.infer_shapes(made)


def random_network(rng: Random) -> onnx.ModelProto:
    """A network that onnxruntime runs."""
    making = Making(rng)
    rng.choice(NETWORKS)(making)
    return making.model()


def _perceptron(m: Making) -> None:
    sizes = [m.rng.choice((3, 5, 8, 17)) for _ in range(m.rng.choice((2, 3, 5)))]
    x = m.input(sizes[0])
    for columns, rows in pairwise(sizes):
        x = m.activated(m.dense(x, columns, rows))
    m.outputs = [m.dense(x, sizes[-1], 3)]


def _convolutional(m: Making) -> None:
    x = m.conv(m.input(3, 8, 8), 3, 8, strides=[m.rng.choice((1, 2))] * 2)
    scale = [m.weight(8) for _ in range(3)]
    variance = m.constant(np.abs(numbers.spread(m.rng, (8,), 0.0)) + np.float32(0.1))
    x = m.activated(m.node("BatchNormalization", x, *scale, variance, epsilon=1e-5))
    pool = m.rng.choice(("MaxPool", "AveragePool"))
    x = m.node(pool, x, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, m.rng.choice((0, 1)), 0])
    x = m.activated(m.conv(x, 8, 8, group=m.rng.choice((1, 2, 8))))
    m.outputs = [m.dense(m.node("Flatten", m.node("GlobalAveragePool", x)), 8, 4)]


def _residual(m: Making) -> None:
    x = m.node("Relu", m.conv(m.input(2, 6, 6), 2, 4))
    for _ in range(m.rng.choice((1, 2))):
        inner = m.conv(m.activated(m.conv(x, 4, 4)), 4, 4, kernel=1)
        x = m.node("Relu", m.node("Add", x, inner))
    m.outputs = [x, m.reduced("ReduceMean", x, (2, 3), 0)]


def _squeeze_and_excite(m: Making) -> None:
    x = m.conv(m.input(4, 5, 5), 4, 4, group=4)
    squeezed = m.conv(m.node("GlobalAveragePool", x), 4, 2, kernel=1)
    gate = m.node("HardSigmoid", m.conv(m.node("Relu", squeezed), 2, 4, kernel=1), alpha=1 / 6, beta=0.5)
    m.outputs = [m.node("Mul", x, gate)]


def _attention(m: Making) -> None:
    x = m.input(5, 8)
    scale = m.node("Mul", m.node("MatMul", x, m.weight(8, 8)), m.constant(0.35))
    heads = [scale, m.node("MatMul", x, m.weight(8, 8)), m.node("MatMul", x, m.weight(8, 8))]
    split = [m.node("Reshape", h, m.ints(0, 5, 2, 4)) for h in heads]
    q, k, v = (
        m.node("Transpose", s, perm=p)
        for s, p in zip(split, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    scores = m.node("Softmax", m.node("MatMul", q, k), axis=-1)
    joined = m.node(
        "Reshape", m.node("Transpose", m.node("MatMul", scores, v), perm=[0, 2, 1, 3]), m.ints(0, 5, 8)
    )
    m.outputs = [m.node("Add", x, m.node("MatMul", joined, m.weight(8, 8)))]


def _transformer_mlp(m: Making) -> None:
    x = m.input(4, 6)
    mean = m.reduced("ReduceMean", x, (-1,))
    centred = m.node("Sub", x, mean)
    variance = m.reduced("ReduceMean", m.node("Mul", centred, centred), (-1,))
    root = m.node("Sqrt", m.node("Add", variance, m.constant(1e-5)))
    x = m.node("Add", m.node("Mul", m.node("Div", centred, root), m.weight(6)), m.weight(6))
    h = m.node("MatMul", x, m.weight(6, 9))
    gelu = m.node(
        "Mul",
        m.node(
            "Mul", h, m.node("Add", m.node("Erf", m.node("Div", h, m.constant(1.4142135))), m.constant(1.0))
        ),
        m.constant(0.5),
    )
    m.outputs = [m.node("MatMul", gelu, m.weight(9, 6))]


def _embedding(m: Making) -> None:
    ids = m.input(6, kind=TensorProto.INT64)
    rows = m.node("Gather", m.weight(11, 5), ids)
    x = m.node("Tanh", m.node("MatMul", rows, m.weight(5, 7)))
    m.outputs = [m.reduced(m.rng.choice(("ReduceMax", "ReduceSum", "ReduceMean")), x, (1,), 0)]


def _decoder(m: Making) -> None:
    x = m.activated(m.dense(m.input(6), 6, 16))
    x = m.node("Reshape", x, m.ints(-1, 4, 2, 2))
    weight = m.weight(4, 3, 2, 2)
    x = m.node("Relu", m.node("ConvTranspose", x, weight, strides=[2, 2]))
    mode = m.rng.choice(("nearest", "linear"))
    roi, scales = m.constant([]), m.constant([1.0, 1.0, 2.0, 2.0])
    x = m.node(
        "Resize", x, roi, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    )
    m.outputs = [m.node("Sigmoid", m.conv(x, 3, 2))]


def _towers(m: Making) -> None:
    one, other = m.dense(m.input(4), 4, 6), m.dense(m.input(7), 7, 6)
    joined = m.node("Concat", m.activated(one), m.activated(other), axis=1)
    products = m.node("Mul", one, other)
    difference = m.node(m.rng.choice(("Sub", "Max", "Min", "Div")), one, other)
    m.outputs = [m.dense(joined, 12, 3), products, m.dense(difference, 6, 2)]


def _cut(m: Making) -> None:
    x = m.dense(m.input(12), 12, 12)
    sizes = () if m.opset < 13 else (m.ints(4, 8),)
    own = {"split": [4, 8]} if m.opset < 13 else {}
    left, right = m.node("Split", x, *sizes, outputs=2, axis=1, **own)
    right = m.node("Slice", right, m.ints(1), m.ints(8), m.ints(1), m.ints(m.rng.choice((1, 2))))
    padded = m.node("Pad", m.node("Relu", left), m.ints(0, 1, 0, 2), m.constant(m.rng.choice((0.0, 0.5))))
    m.outputs = [m.node("Concat", padded, m.node("Tanh", right), axis=1), m.dense(left, 4, 2)]


def _chosen(m: Making) -> None:
    x = m.dense(m.input(6), 6, 6)
    above = m.node("Greater", x, m.constant(0.1))
    other = m.node("Clip", x, m.constant(-0.5), m.constant(0.5))
    m.outputs = [m.node("Where", above, m.dense(x, 6, 6), other), m.node("Cast", above, to=TensorProto.FLOAT)]


def _moved(m: Making) -> None:
    x = m.conv(m.input(3, 4, 4), 3, 6)
    x = m.node("Transpose", m.node("Reshape", x, m.ints(0, 6, 16)), perm=[0, 2, 1])
    x = m.node("MatMul", m.node("Relu", x), m.weight(6, 5))
    if m.opset >= 13:
        x = m.node("Squeeze", m.node("Unsqueeze", x, m.ints(1)), m.ints(1))
    x = m.node("Expand", m.reduced("ReduceSum", x, (1,)), m.ints(1, 3, 5))
    m.outputs = [m.node("Softmax", x, axis=-1), m.node("Tile", x, m.ints(1, 2, 1))]


def _elementary(m: Making) -> None:
    x = m.dense(m.input(5), 5, 7)
    for _ in range(m.rng.choice((2, 3, 4))):
        x = m.activated(x)
        if m.rng.random() < 0.5:
            operator = m.rng.choice(("Add", "Sub", "Mul", "Div", "Pow"))
            x = m.node(operator, x, m.constant(m.rng.choice((0.5, 2.0, 3.0))))
    m.outputs = [x]


def _shaped(m: Making) -> None:
    """The sizes of a Reshape computed from the input, as exporters write it."""
    x = m.node("Relu", m.conv(m.input(2, 4, 4), 2, 3))
    size = m.node("Gather", m.node("Shape", x), m.constant(0, np.int64), axis=0)
    first = m.node("Unsqueeze", size, m.ints(0)) if m.opset >= 13 else m.node("Unsqueeze", size, axes=[0])
    x = m.node("Reshape", x, m.node("Concat", first, m.ints(-1), axis=0))
    m.outputs = [m.dense(x, 48, 4)]


def _narrow(m: Making) -> None:
    """Inside in another float format."""
    kind = m.rng.choice((TensorProto.FLOAT16, TensorProto.DOUBLE))
    x = m.node("Cast", m.dense(m.input(5), 5, 6), to=kind)
    weight = m.constant(numbers.spread(m.rng, (6, 4), 0.0).astype(helper.tensor_dtype_to_np_dtype(kind)))
    m.outputs = [m.node("Cast", m.node("Relu", m.node("MatMul", x, weight)), to=TensorProto.FLOAT)]


def _normalised(m: Making) -> None:
    x = m.conv(m.input(4, 4, 4), 4, 4)
    x = m.node("InstanceNormalization", x, m.weight(4), m.weight(4), epsilon=1e-3)
    x = m.node("LRN", x, size=3, alpha=0.1, beta=0.75, bias=1.0)
    x = m.node("PRelu", x, m.weight(4, 1, 1))
    m.outputs = [m.node("LogSoftmax", m.node("Flatten", x), axis=1)]


def _contracted(m: Making) -> None:
    x = m.input(3, 4)
    y = (
        m.node("Einsum", x, m.weight(4, 5), equation="bij,jk->bik")
        if m.opset >= 12
        else m.node("MatMul", x, m.weight(4, 5))
    )
    m.outputs = [m.node("MatMul", m.node("Tanh", y), m.node("Transpose", y, perm=[0, 2, 1]))]


NETWORKS: tuple[Callable[[Making], None], ...] = (
    _perceptron,
    _convolutional,
    _residual,
    _squeeze_and_excite,
    _attention,
    _transformer_mlp,
    _embedding,
    _decoder,
    _towers,
    _cut,
    _chosen,
    _moved,
    _elementary,
    _shaped,
    _narrow,
    _normalised,
    _contracted,
)
