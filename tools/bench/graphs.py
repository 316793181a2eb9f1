"""Graphs with random weights and inputs, for benches that need networks of a size."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

Network = tuple[onnx.ModelProto, np.ndarray]


class Nodes:
    """A graph with random weights under construction."""

    def __init__(self, shape: tuple[int, ...], samples: int) -> None:
        self._rng = np.random.default_rng(0)
        self.inputs = self._rng.standard_normal((samples, *shape), np.float32)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: Any, **attributes: Any) -> str:
        """A node; arrays among its inputs are constants."""
        names = [x if isinstance(x, str) else self._constant(x) for x in inputs]
        output = f"{operator}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [output], name=output, **attributes))
        return output

    def weight(self, *shape: int) -> np.ndarray:
        fan_in = int(np.prod(shape[1:] if len(shape) == 4 else shape[:-1]))
        return (self._rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32)

    def model(self, output: str) -> onnx.ModelProto:
        shape = ["N", *self.inputs.shape[1:]]
        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def _constant(self, values: np.ndarray) -> str:
        name = f"constant{len(self._constants)}"
        self._constants.append(onnx.numpy_helper.from_array(values, name))
        return name


def encoder(width: int = 192, layers: int = 1, tokens: int = 32, samples: int = 128) -> Network:
    """Layers of a token encoder: attention of four heads, and two wide products with a ReLU between."""
    n, heads = Nodes((tokens, width), samples), 4
    x = "x"
    split, order = np.array([0, tokens, heads, width // heads]), [0, 2, 1, 3]
    for _ in range(layers):
        q, k, v = (n.node("MatMul", x, n.weight(width, width)) for _ in range(3))
        q, v = (n.node("Transpose", n.node("Reshape", a, split), perm=order) for a in (q, v))
        k = n.node("Transpose", n.node("Reshape", k, split), perm=[0, 2, 3, 1])
        scale = np.float32(1 / np.sqrt(width // heads))
        mixed = n.node("MatMul", n.node("Softmax", n.node("Mul", n.node("MatMul", q, k), scale), axis=-1), v)
        joined = n.node("Reshape", n.node("Transpose", mixed, perm=order), np.array([0, tokens, width]))
        x = n.node("Add", x, n.node("MatMul", joined, n.weight(width, width)))
        wide = n.node("Relu", n.node("MatMul", x, n.weight(width, 4 * width)))
        x = n.node("Add", x, n.node("MatMul", wide, n.weight(4 * width, width)))
    return n.model(n.node("ReduceMean", x, axes=[1], keepdims=0)), n.inputs


def perceptron(width: int = 512) -> Network:
    """Three dense layers of one width, and ten scores."""
    n, x = Nodes((256,), 512), "x"
    for before in (256, width, width):
        x = n.node("Relu", n.node("MatMul", x, n.weight(before, width)))
    return n.model(n.node("MatMul", x, n.weight(width, 10))), n.inputs


def images() -> Network:
    """Convolutions on 224 pixels, each second of stride 2."""
    n, x, channels = Nodes((3, 224, 224), 16), "x", 3
    for wide in (16, 32, 64):
        for stride in (1, 2):
            x = n.node("Conv", x, n.weight(wide, channels, 3, 3), pads=[1] * 4, strides=[stride] * 2)
            x, channels = n.node("Relu", x), wide
    x = n.node("Flatten", n.node("GlobalAveragePool", x))
    return n.model(n.node("MatMul", x, n.weight(channels, 100))), n.inputs
