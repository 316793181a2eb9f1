"""Operators of sets 23 and 24, and onnxruntime's grouped attention, are exact and compress."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sim_compress import Settings, compress
from sim_compress.frontend import load_teacher
from sim_compress.runtime import Session
from sim_compress.states import NetworkTeacher
from tests.frontend.attention_graphs import FEATURES, HEADS, INFINITE, SIZE, TOKENS, present, tokens
from tests.frontend.graphs import assert_close, exact, graph_of, node, random, run, saved, typed

KINDS = onnx.TensorProto
LATER = np.triu(np.ones((TOKENS, TOKENS), bool), 1)
GROUPS = 1
POSITIONS = 10


def rotations() -> dict[str, np.ndarray]:
    """Cosines and sines of half a head at every position."""
    angles = np.outer(np.arange(POSITIONS), 0.5 ** np.arange(SIZE // 2))
    return {"cos": np.cos(angles).astype(np.float32), "sin": np.sin(angles).astype(np.float32)}


def projected(
    middle: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray] | None = None,
    heads: bool = True,
    masks: Mapping[str, int] | None = None,
    opset: int = 23,
    groups: int = HEADS,
) -> onnx.ModelProto:
    """Projections q, k and v of tokens, nodes that make `a` of them, and one more layer.

    Args:
        heads: q, k and v are split (N, heads, TOKENS, SIZE), and so is `a`; otherwise (N, TOKENS, features).
        masks: inputs (N, TOKENS) -> element type.
        groups: heads of keys and values.
    """
    counts = {"q": HEADS, "k": groups, "v": groups}
    nodes = []
    for which in counts:
        nodes.append(node("MatMul", ["x", f"w_{which}"], [f"{which}_p" if heads else which], which))
        if heads:
            nodes.append(node("Reshape", [f"{which}_p", f"split_{which}"], [f"{which}_s"], f"{which}_split"))
            nodes.append(node("Transpose", [f"{which}_s"], [which], f"{which}_heads", perm=[0, 2, 1, 3]))
    ends = [
        node("Transpose", ["a"], ["back"], "back", perm=[0, 2, 1, 3]),
        node("Reshape", ["back", "joined"], ["tokens"], "tokens"),
    ]
    nodes += [*middle, *(ends if heads else [])]
    nodes.append(node("MatMul", ["tokens" if heads else "a", "w_o"], ["y"], "out"))
    own = {f"w_{w}": random(FEATURES, n * SIZE, seed=i) for i, (w, n) in enumerate(counts.items())}
    own |= {f"split_{w}": np.array([0, TOKENS, n, SIZE]) for w, n in counts.items()}
    own |= {"joined": np.array([0, TOKENS, FEATURES]), "w_o": random(FEATURES, FEATURES, seed=7)}
    wanted = {name for n in nodes for name in n.input}
    kept = {name: value for name, value in {**own, **(constants or {})}.items() if name in wanted}
    shapes = {"x": (TOKENS, FEATURES), **dict.fromkeys(masks or {}, (TOKENS,))}
    domains = {"com.microsoft": 1}
    return typed(graph_of(nodes, shapes, kept, opset=opset, domains=domains), masks or {})


def _check(path: Path, masked: bool = False) -> None:
    def feed(samples: int) -> dict[str, np.ndarray]:
        return {"x": tokens(samples), **({"mask": present(samples) > 0} if masked else {})}

    teacher = load_teacher(path)
    for samples in (1, 3, 8):
        given = feed(samples)
        assert_close(Session(teacher.model).predict(given)["y"], run(path, given)["y"])
    result = compress(NetworkTeacher(teacher), feed(24), Settings(0.5, tune=0))
    assert result.sparsity == pytest.approx(0.5, abs=0.01)
    assert np.isfinite(Session(result.model).predict(feed(3))["y"]).all()


# name: attributes of Attention, its mask, operator set
ATTENTIONS: dict[str, tuple[dict[str, Any], np.ndarray | None, int]] = {
    "plain": ({}, None, 23),
    "causal": ({"is_causal": 1}, None, 23),
    "scaled": ({"scale": 0.3}, None, 23),
    "capped": ({"softcap": 2.0}, None, 23),
    "added mask": ({}, random(TOKENS, TOKENS, seed=9), 23),
    "infinite mask": ({}, np.where(LATER, INFINITE, np.float32(0)), 23),
    "mask of truth values": ({}, ~LATER, 23),
    "mask of every head": ({}, random(1, HEADS, TOKENS, TOKENS, seed=9), 23),
    "causal with a mask": ({"is_causal": 1}, random(TOKENS, TOKENS, seed=9), 24),
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_attention_of_split_heads_is_exact(tmp_path: Path, name: str) -> None:
    attributes, mask, opset = ATTENTIONS[name]
    inputs = ["q", "k", "v"] if mask is None else ["q", "k", "v", "m"]
    middle = [node("Attention", inputs, ["a"], "attention", **attributes)]
    _check(saved(tmp_path, projected(middle, {} if mask is None else {"m": mask}, opset=opset)))


@pytest.mark.parametrize("groups", [HEADS, GROUPS], ids=["all heads", "shared heads"])
@pytest.mark.parametrize("heads", [True, False], ids=["split", "joined"])
def test_attention_shares_heads_of_keys_and_values(tmp_path: Path, heads: bool, groups: int) -> None:
    counts = {} if heads else {"q_num_heads": HEADS, "kv_num_heads": groups}
    middle = [node("Attention", ["q", "k", "v"], ["a"], "attention", is_causal=1, **counts)]
    _check(saved(tmp_path, projected(middle, heads=heads, groups=groups)))


def test_attention_takes_the_mask_of_a_padded_text_together_with_a_causal_one(tmp_path: Path) -> None:
    middle = [
        node("Unsqueeze", ["mask", "axes"], ["m_1"], "m_1"),
        node("And", ["m_1", "square"], ["m"], "m"),
        node("Attention", ["q", "k", "v", "m"], ["a"], "attention"),
    ]
    model = projected(middle, {"axes": np.array([1, 2]), "square": ~LATER}, masks={"mask": KINDS.BOOL})
    _check(saved(tmp_path, model), masked=True)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotated_queries_and_keys_are_exact(tmp_path: Path, interleaved: int) -> None:
    turned = [
        node(
            "RotaryEmbedding",
            [which, "c", "s"],
            [f"{which}_turned"],
            f"{which}_turned",
            interleaved=interleaved,
        )
        for which in ("q", "k")
    ]
    # Without positions, cosines and sines stand for every sample: they are computed of its batch.
    spread = [
        node("Shape", ["x"], ["n"], "n", start=0, end=1),
        node("Concat", ["n", "sizes"], ["target"], "target", axis=0),
        node("Expand", ["cos", "target"], ["c"], "c"),
        node("Expand", ["sin", "target"], ["s"], "s"),
    ]
    middle = [*spread, *turned, node("Attention", ["q_turned", "k_turned", "v"], ["a"], "attention")]
    first = {name: value[:TOKENS] for name, value in rotations().items()}
    _check(saved(tmp_path, projected(middle, {**first, "sizes": np.array([TOKENS, SIZE // 2])})))


def test_rotations_are_looked_up_by_position(tmp_path: Path) -> None:
    spread = [
        node("Shape", ["x"], ["n"], "n", start=0, end=1),
        node("Concat", ["n", "sizes"], ["target"], "target", axis=0),
        node("Expand", ["order", "target"], ["p"], "p"),
    ]
    turned = [
        node("RotaryEmbedding", [which, "cos", "sin", "p"], [f"{which}_turned"], f"{which}_turned")
        for which in ("q", "k")
    ]
    middle = [*spread, *turned, node("Attention", ["q_turned", "k_turned", "v"], ["a"], "attention")]
    order = np.arange(TOKENS)[::-1].copy()
    _check(saved(tmp_path, projected(middle, {**rotations(), "order": order, "sizes": np.array([TOKENS])})))


def test_grouped_attention_of_onnxruntime_is_exact(tmp_path: Path) -> None:
    """Its lengths, one less than the tokens of every sample, follow from the batch."""
    middle = [
        node("Shape", ["x"], ["n"], "n", start=0, end=1),
        node("Expand", ["less", "n"], ["lengths"], "lengths"),
        onnx.helper.make_node(
            "GroupQueryAttention",
            ["q", "k", "v", "", "", "lengths", "total"],
            ["a", "past_k", "past_v"],
            name="grouped",
            domain="com.microsoft",
            num_heads=HEADS,
            kv_num_heads=GROUPS,
        ),
    ]
    whole = {"less": np.array(TOKENS - 1, np.int32), "total": np.array(TOKENS, np.int32)}
    model = projected(middle, whole, heads=False, opset=17, groups=GROUPS)
    _check(saved(tmp_path, model))


def test_gelu_normalisation_and_swish_of_the_newest_operator_set_are_exact(tmp_path: Path) -> None:
    nodes = [
        node("Gemm", ["x", "w1", "b1"], ["a"], "first"),
        node("Gelu", ["a"], ["b"], "gelu", approximate="tanh"),
        node("Gemm", ["b", "w2"], ["c"], "second"),
        node("RMSNormalization", ["c", "g"], ["d"], "normal", axis=-1),
        node("Gemm", ["d", "w3"], ["e"], "third"),
        node("Swish", ["e"], ["y"], "swish", alpha=1.3),
    ]
    constants = {
        "w1": random(8, 16),
        "b1": random(16, seed=1),
        "w2": random(16, 16, seed=2),
        "g": random(16, seed=3),
        "w3": random(16, 4, seed=4),
    }
    exact(tmp_path, nodes, {"x": (8,)}, constants, opset=24)
