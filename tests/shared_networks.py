"""Networks that use a weight several times."""

from collections.abc import Sequence

import numpy as np
import onnx

from tests.frontend.graphs import graph_of, node, random, typed

STEPS, WIDTH, FEATURES = 3, 16, 8


def recurrent(copies: bool = False) -> onnx.ModelProto:
    """An unrolled recurrent network: h = tanh(W x_t + U h + b) at every step, and rows on the last state.

    Args:
        copies: whether every step has weights and a bias under names of its own, the later ones transposed.
    """
    W, U, b = (random(FEATURES, WIDTH, seed=1), 0.4 * random(WIDTH, WIDTH, seed=2), random(WIDTH, seed=3))
    constants = {"V": random(WIDTH, 4, seed=4), "c": random(4, seed=5)}
    nodes: list[onnx.NodeProto] = []
    state = "h0"
    for t in range(STEPS):
        end = f"{t}" if copies else ""
        nodes += _turned("W", W, end, constants) + _turned("U", U, end, constants)
        constants["b" + end] = b
        nodes += [
            node("MatMul", [f"x{t}", "W" + end], [f"wx{t}"]),
            node("MatMul", [state, "U" + end], [f"uh{t}"]),
            node("Add", [f"wx{t}", f"uh{t}"], [f"sum{t}"]),
            node("Add", [f"sum{t}", "b" + end], [f"z{t}"]),
            node("Tanh", [f"z{t}"], [f"h{t + 1}"], name=f"step{t}"),
        ]
        state = f"h{t + 1}"
    nodes += [node("MatMul", [state, "V"], ["vh"]), node("Add", ["vh", "c"], ["scores"])]
    inputs = {**{f"x{t}": (FEATURES,) for t in range(STEPS)}, "h0": (WIDTH,)}
    return graph_of(_once(nodes), inputs, constants)


def _turned(
    name: str, weight: np.ndarray, end: str, constants: dict[str, np.ndarray]
) -> list[onnx.NodeProto]:
    """The weight under its own name, or one of its copies, stored transposed but for the first."""
    if end in ("", "0"):
        constants[name + end] = weight
        return []
    constants[f"{name}{end}.T"] = np.ascontiguousarray(weight.T)
    return [node("Transpose", [f"{name}{end}.T"], [name + end], perm=[1, 0])]


def _once(nodes: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    return list({n.output[0]: n for n in nodes}.values())


def layers(count: int = 3, width: int = 24, inner: int = 48, tokens: int = 5) -> onnx.ModelProto:
    """A residual layer of tokens, x + W2 relu(W1 norm(x) + b1) + b2, applied several times, as in ALBERT."""
    constants = {
        "W1": random(width, inner, seed=1) / np.float32(np.sqrt(width)),
        "b1": random(inner, seed=2),
        "W2": random(inner, width, seed=3) / np.float32(np.sqrt(inner)),
        "b2": random(width, seed=4),
        "scale": 1 + 0.1 * random(width, seed=5),
        "shift": 0.1 * random(width, seed=6),
        "V": random(width, 4, seed=7),
    }
    nodes, x = list[onnx.NodeProto](), "x"
    for i in range(count):
        nodes += [
            node("LayerNormalization", [x, "scale", "shift"], [f"n{i}"], axis=-1),
            node("MatMul", [f"n{i}", "W1"], [f"up{i}"]),
            node("Add", [f"up{i}", "b1"], [f"z{i}"]),
            node("Relu", [f"z{i}"], [f"r{i}"], name=f"layer{i}.relu"),
            node("MatMul", [f"r{i}", "W2"], [f"down{i}"]),
            node("Add", [f"down{i}", "b2"], [f"d{i}"]),
            node("Add", [x, f"d{i}"], [f"x{i}"], name=f"layer{i}.out"),
        ]
        x = f"x{i}"
    nodes.append(node("MatMul", [x, "V"], ["scores"]))
    return graph_of(nodes, {"x": (tokens, width)}, constants)


def towers() -> onnx.ModelProto:
    """Two images through one convolution each, of the same weights, and the difference of what they give."""
    constants = {"K": random(8, 3, 3, 3, seed=1), "k": random(8, seed=2), "V": random(8, 4, seed=3)}
    nodes = [n for side in ("left", "right") for n in _tower(side)]
    nodes += [node("Sub", ["left.flat", "right.flat"], ["apart"]), node("MatMul", ["apart", "V"], ["scores"])]
    return graph_of(nodes, {"left": (3, 8, 8), "right": (3, 8, 8)}, constants)


def _tower(side: str) -> list[onnx.NodeProto]:
    return [
        node("Conv", [side, "K", "k"], [f"{side}.conv"], pads=[1, 1, 1, 1]),
        node("Relu", [f"{side}.conv"], [f"{side}.relu"], name=f"{side}.relu"),
        node("GlobalAveragePool", [f"{side}.relu"], [f"{side}.pool"]),
        node("Flatten", [f"{side}.pool"], [f"{side}.flat"]),
    ]


NETWORKS = {"recurrent": recurrent, "layers": layers, "towers": towers}


def language_model(
    vocabulary: int = 60, width: int = 8, tokens: int = 5, bias: bool = False, factor: float = 1.0
) -> onnx.ModelProto:
    """Scores of the next token: embeddings, a residual layer, and the embeddings again.

    Args:
        bias: whether the scores have one.
        factor: of the embeddings behind their lookup.
    """
    constants = {
        "E": random(vocabulary, width, seed=1),
        "positions": 0.3 * random(tokens, width, seed=2),
        "W1": random(width, 2 * width, seed=3) / np.float32(np.sqrt(width)),
        "b1": random(2 * width, seed=4),
        "W2": random(2 * width, width, seed=5) / np.float32(np.sqrt(width)),
        "scale": 1 + 0.1 * random(width, seed=6),
        "shift": 0.1 * random(width, seed=7),
        "factor": np.float32(factor),
        "b": random(vocabulary, seed=8),
    }
    nodes = [
        node("Gather", ["E", "ids"], ["rows"], name="embedding", axis=0),
        node("Mul", ["rows", "factor"], ["scaled"]),
        node("Add", ["scaled", "positions"], ["x"], name="placed"),
        node("MatMul", ["x", "W1"], ["up"]),
        node("Add", ["up", "b1"], ["z"]),
        node("Tanh", ["z"], ["h"], name="layer"),
        node("MatMul", ["h", "W2"], ["down"]),
        node("Add", ["x", "down"], ["sum"]),
        node("LayerNormalization", ["sum", "scale", "shift"], ["n"], axis=-1, name="norm"),
        node("Transpose", ["E"], ["ET"], perm=[1, 0]),
        node("MatMul", ["n", "ET"], ["found" if bias else "scores"], name="head"),
    ]
    if bias:
        nodes.append(node("Add", ["found", "b"], ["scores"]))
    return typed(graph_of(nodes, {"ids": (tokens,)}, constants), {"ids": onnx.TensorProto.INT64})
