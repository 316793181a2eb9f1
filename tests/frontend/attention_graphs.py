"""Self-attention spelled in ONNX nodes, with any mask between scores and softmax."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from tests.frontend.graphs import graph_of, node, random, typed

TOKENS, HEADS, SIZE = 6, 2, 8
FEATURES = HEADS * SIZE
LOWEST = np.finfo(np.float32).min
INFINITE = np.float32(-np.inf)


def attention_graph(
    mask: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    inputs: Mapping[str, int] | None = None,
    guarded: bool = False,
    opset: int = 17,
) -> onnx.ModelProto:
    """Attention of tokens x (N, TOKENS, FEATURES), its output through one more layer.

    Args:
        mask: nodes that make `masked` (N, HEADS, TOKENS, TOKENS) of the scores `scaled` of that shape.
        constants: of these nodes.
        inputs: masks of tokens (N, TOKENS), name -> element type.
        guarded: rows that are not numbers, as of a text masked whole, become zero.
    """
    guard = [
        node("IsNaN", ["soft"], ["nan"], "guard"),
        node("Where", ["nan", "zero", "soft"], ["weights"], "guarded"),
    ]
    soft = [node("Softmax", ["masked"], ["soft" if guarded else "weights"], "softmax", axis=-1)]
    nodes = [
        *(n for which in ("q", "k", "v") for n in _heads(which)),
        node("Transpose", ["k_split"], ["k_turned"], "turned", perm=[0, 2, 3, 1]),
        node("MatMul", ["q_heads", "k_turned"], ["scores"], "scores"),
        node("Div", ["scores", "root"], ["scaled"], "scaled"),
        *mask,
        *soft,
        *(guard if guarded else []),
        node("MatMul", ["weights", "v_heads"], ["mixed"], "mixed"),
        node("Transpose", ["mixed"], ["back"], "back", perm=[0, 2, 1, 3]),
        node("Reshape", ["back", "joined"], ["tokens"], "tokens"),
        node("MatMul", ["tokens", "w_o"], ["y"], "out"),
    ]
    split = np.array([0, TOKENS, HEADS, SIZE])
    own = {
        **{f"w_{which}": random(FEATURES, FEATURES, seed=i) for i, which in enumerate("qkvo", 1)},
        **{f"b_{which}": random(FEATURES, seed=10 + i) for i, which in enumerate("qkv")},
        "split": split,
        "joined": np.array([0, TOKENS, FEATURES]),
        "root": np.float32(SIZE**0.5),
        "zero": np.float32(0),
    }
    wanted = {name for n in nodes for name in n.input}
    kept = {name: value for name, value in {**own, **constants}.items() if name in wanted}
    kinds = inputs or {}
    shapes = {"x": (TOKENS, FEATURES), **dict.fromkeys(kinds, (TOKENS,))}
    return typed(graph_of(nodes, shapes, kept, opset=opset), kinds)


def _heads(which: str) -> list[onnx.NodeProto]:
    """Queries, keys or values, split into heads."""
    return [
        node("MatMul", ["x", f"w_{which}"], [f"{which}_product"], which),
        node("Add", [f"{which}_product", f"b_{which}"], [f"{which}_all"], f"{which}_biased"),
        node("Reshape", [f"{which}_all", "split"], [f"{which}_split"], f"{which}_split"),
        node("Transpose", [f"{which}_split"], [f"{which}_heads"], f"{which}_heads", perm=[0, 2, 1, 3]),
    ]


def tokens(samples: int, seed: int = 0) -> np.ndarray:
    return random(samples, TOKENS, FEATURES, seed=seed)


def present(samples: int) -> np.ndarray:
    """1 where a text of one to six tokens has one."""
    return (np.arange(TOKENS) <= np.arange(samples)[:, None] % TOKENS).astype(np.int64)
