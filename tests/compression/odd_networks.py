"""Small networks of odd shapes: one entry is more than a tenth of a point, and few rows have a bias."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx

from tests.frontend.graphs import graph_of, node

Maker = Callable[[], onnx.ModelProto]


def weights(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal, of the size that keeps a state's."""
    rng = np.random.default_rng([seed, *shape])
    return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def biases(rows: int, seed: int = 0) -> np.ndarray:
    return (0.1 + 0.1 * np.random.default_rng([seed, rows]).random(rows)).astype(np.float32)


def dense(
    widths: Sequence[int], biased: Sequence[np.ndarray | bool], phi: str = "Relu", seed: int = 0
) -> onnx.ModelProto:
    """Gemms with phi between them; a bias of its own, one made up, or none for each."""
    nodes, constants, state = [], {}, "x"
    for i, (features, rows, own) in enumerate(zip(widths[:-1], widths[1:], biased, strict=True)):
        constants[f"w{i}"], names = weights(rows, features, seed=seed + i), [f"w{i}"]
        if own is not False:
            constants[f"b{i}"] = biases(rows, seed + i) if own is True else own
            names.append(f"b{i}")
        nodes.append(node("Gemm", [state, *names], [f"z{i}"], f"rows{i}", transB=1))
        state = f"z{i}"
        if i < len(biased) - 1:
            nodes.append(node(phi, [state], [f"x{i}"], f"phi{i}"))
            state = f"x{i}"
    return graph_of(nodes, {"x": (widths[0],)}, constants)


def lattice(inputs: int = 2) -> onnx.ModelProto:
    """Maxima of minima of linear functions of the inputs, by ReLU alone: no biases but the first ones."""
    rng = np.random.default_rng(0)
    constants = {"w": weights(inputs, inputs), "b": biases(inputs)}
    nodes = [node("Gemm", ["x", "w", "b"], ["a"], "linear", transB=1)]
    # The literals: each a scaled linear function.
    picked = np.zeros((2 * inputs, inputs), np.float32)
    picked[np.arange(2 * inputs), np.arange(2 * inputs) % inputs] = rng.uniform(0.5, 1.5, 2 * inputs)
    constants["pick"] = picked
    nodes.append(node("Gemm", ["a", "pick"], ["m0"], "literals", transB=1))
    state, size, sign, level = "m0", 2 * inputs, -1.0, 0
    while size > 1:
        # (p + q -+ |p - q|) / 2 from the ReLU of p + q, -p - q, p - q and q - p.
        pairs, halves = np.zeros((2 * size, size), np.float32), np.zeros((size // 2, 2 * size), np.float32)
        for k in range(size // 2):
            pairs[4 * k : 4 * k + 4, 2 * k : 2 * k + 2] = [[1, 1], [-1, -1], [1, -1], [-1, 1]]
            halves[k, 4 * k : 4 * k + 4] = np.array([1, -1, sign, sign]) / 2
        constants |= {f"p{level}": pairs, f"h{level}": halves}
        nodes += [
            node("Gemm", [state, f"p{level}"], [f"q{level}"], f"pairs{level}", transB=1),
            node("Relu", [f"q{level}"], [f"r{level}"], f"relu{level}"),
            node("Gemm", [f"r{level}", f"h{level}"], [f"m{level + 1}"], f"choice{level}", transB=1),
        ]
        state, size, sign, level = f"m{level + 1}", size // 2, -sign, level + 1
    return graph_of(nodes, {"x": (inputs,)}, constants)


def volumes(biased: bool = True) -> onnx.ModelProto:
    """3-D convolutions of odd sizes, the first of one channel."""
    first, last = (["b0"], ["b2"]) if biased else ([], [])
    nodes = [
        node("Conv", ["x", "w0", *first], ["z0"], kernel_shape=[3, 1, 5], pads=[1, 0, 2, 1, 0, 2]),
        node("Relu", ["z0"], ["x0"]),
        node("Conv", ["x0", "w1"], ["z1"], kernel_shape=[1, 3, 1], strides=[1, 2, 1]),
        node("Relu", ["z1"], ["x1"]),
        node("GlobalAveragePool", ["x1"], ["mean"]),
        node("Flatten", ["mean"], ["flat"]),
        node("Gemm", ["flat", "w2", *last], ["y"], transB=1),
    ]
    constants = {"w0": weights(3, 1, 3, 1, 5), "w1": weights(5, 3, 1, 3, 1), "w2": weights(3, 5)}
    constants |= {"b0": biases(3), "b2": biases(3)} if biased else {}
    return graph_of(nodes, {"x": (1, 5, 7, 9)}, constants)


def squeezed(biased: bool = True, channels: int = 8, narrow: int = 2) -> onnx.ModelProto:
    """A convolution whose channels are weighted by a gate of their own means (squeeze and excitation)."""
    first, second = (["b1"], ["b2"]) if biased else ([], [])
    nodes = [
        node("Conv", ["x", "w0", "b0"], ["z0"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["z0"], ["x0"]),
        node("GlobalAveragePool", ["x0"], ["mean"]),
        node("Conv", ["mean", "w1", *first], ["z1"], kernel_shape=[1, 1]),
        node("Relu", ["z1"], ["x1"]),
        node("Conv", ["x1", "w2", *second], ["z2"], kernel_shape=[1, 1]),
        node("Sigmoid", ["z2"], ["gate"]),
        node("Mul", ["x0", "gate"], ["gated"]),
        node("Conv", ["gated", "w3", "b3"], ["z3"], kernel_shape=[1, 1]),
        node("GlobalAveragePool", ["z3"], ["means"]),
        node("Flatten", ["means"], ["y"]),
    ]
    constants = {
        "w0": weights(channels, 3, 3, 3),
        "b0": biases(channels),
        "w1": weights(narrow, channels, 1, 1),
        "w2": weights(channels, narrow, 1, 1),
        "w3": weights(6, channels, 1, 1),
        "b3": biases(6),
    }
    constants |= {"b1": biases(narrow), "b2": biases(channels)} if biased else {}
    return graph_of(nodes, {"x": (3, 6, 6)}, constants)


def depthwise() -> onnx.ModelProto:
    """A depthwise, a pointwise and a grouped convolution, of which the second alone has a bias."""
    nodes = [
        node("Conv", ["x", "w0"], ["z0"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=3),
        node("Relu", ["z0"], ["x0"]),
        node("Conv", ["x0", "w1", "b1"], ["z1"], kernel_shape=[1, 1]),
        node("Relu", ["z1"], ["x1"]),
        node("Conv", ["x1", "w2"], ["z2"], kernel_shape=[3, 3], group=2),
        node("Relu", ["z2"], ["x2"]),
        node("Flatten", ["x2"], ["flat"]),
        node("Gemm", ["flat", "w3", "b3"], ["y"], transB=1),
    ]
    constants = {
        "w0": weights(3, 1, 3, 3),
        "w1": weights(8, 3, 1, 1),
        "b1": biases(8),
        "w2": weights(4, 4, 3, 3),
        "w3": weights(3, 64),
        "b3": biases(3),
    }
    return graph_of(nodes, {"x": (3, 6, 6)}, constants)


def one_channel() -> onnx.ModelProto:
    """Twenty-one parameters: convolutions of one channel."""
    nodes = [
        node("Conv", ["x", "w0"], ["z0"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["z0"], ["x0"]),
        node("Conv", ["x0", "w1", "b1"], ["z1"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["z1"], ["x1"]),
        node("Conv", ["x1", "w2"], ["y"], kernel_shape=[1, 1]),
    ]
    constants = {
        "w0": weights(1, 1, 3, 3),
        "w1": weights(1, 1, 3, 3),
        "b1": biases(1),
        "w2": weights(2, 1, 1, 1),
    }
    return graph_of(nodes, {"x": (1, 6, 6)}, constants)


def shared() -> onnx.ModelProto:
    """One weight used twice."""
    nodes = [
        node("Gemm", ["x", "w0"], ["z0"], transB=1),
        node("Relu", ["z0"], ["x0"]),
        node("Gemm", ["x0", "w0"], ["z1"], transB=1),
        node("Relu", ["z1"], ["x1"]),
        node("Gemm", ["x1", "w1", "b1"], ["y"], transB=1),
    ]
    return graph_of(nodes, {"x": (8,)}, {"w0": weights(8, 8), "w1": weights(3, 8), "b1": biases(3)})


def silent() -> onnx.ModelProto:
    """Nine of sixteen units are off for every input, and five rows behind them read no other."""
    first, second = biases(16), weights(12, 16, seed=1)
    first[:9] = -50
    second[:5, 9:] = 0
    model = dense((8, 16, 12, 3), (first, True, True))
    for tensor in model.graph.initializer:
        if tensor.name == "w1":
            tensor.CopyFrom(onnx.numpy_helper.from_array(second, "w1"))
    return model


def partly_biased() -> onnx.ModelProto:
    """Some biases are zero, in one block all."""
    some = biases(16)
    some[:9] = 0
    return dense((8, 16, 12, 3), (some, np.zeros(12, np.float32), True))


ODD: dict[str, Maker] = {
    "lattice2": lattice,
    "lattice4": lambda: lattice(4),
    "volumes": volumes,
    "volumes without biases": lambda: volumes(biased=False),
    "squeezed": squeezed,
    "squeezed without biases": lambda: squeezed(biased=False),
    "squeezed to one": lambda: squeezed(channels=4, narrow=1),
    "depthwise": depthwise,
    "tiny": lambda: dense((3, 4, 1), (True, False)),
    "one channel": one_channel,
    "shared": shared,
    "silent": silent,
    "partly biased": partly_biased,
}
