"""Networks whose channels leave in other ways than by rows: gated units, halves, shared weights, heads."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from sim_compress import open_teacher
from sim_compress.model import ImplicitModel
from tests.frontend.graphs import graph_of, node, random, saved


def _opened(nodes, shape, constants) -> ImplicitModel:
    with TemporaryDirectory() as folder:
        return open_teacher(saved(Path(folder), graph_of(nodes, {"x": shape}, constants))).model


def _int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def glu() -> ImplicitModel:
    """Convolutions over time, the first of which gives both halves of a gated linear unit."""
    nodes = [
        node("Conv", ["x", "k", "b"], ["h"], "both"),
        node("Split", ["h", "halves"], ["a", "g"], axis=1),
        node("Sigmoid", ["g"], ["s"], "gate"),
        node("Mul", ["a", "s"], ["m"], "unit"),
        node("Conv", ["m", "l"], ["y"], "last"),
    ]
    constants = {"k": random(8, 3, 2), "b": random(8), "l": random(5, 4, 2, seed=1), "halves": _int64(4, 4)}
    return _opened(nodes, (3, 9), constants)


def gate_and_up() -> ImplicitModel:
    """Tokens: SiLU of one half of a projection times the other half."""
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "both"),
        node("Split", ["h", "halves"], ["g", "u"], axis=2),
        node("Sigmoid", ["g"], ["s"]),
        node("Mul", ["g", "s"], ["silu"]),
        node("Mul", ["silu", "u"], ["m"], "unit"),
        node("MatMul", ["m", "d"], ["y"], "down"),
    ]
    constants = {"w": random(6, 10), "d": random(5, 4, seed=1), "halves": _int64(5, 5)}
    return _opened(nodes, (7, 6), constants)


def squeezed() -> ImplicitModel:
    """Squeeze and excite: the gates of a convolution's channels are made of their means."""
    nodes = [
        node("Conv", ["x", "k"], ["h"], "conv"),
        node("Relu", ["h"], ["r"], "relu"),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Conv", ["p", "s"], ["q"], "squeeze"),
        node("Relu", ["q"], ["q2"]),
        node("Conv", ["q2", "e"], ["g"], "excite"),
        node("Sigmoid", ["g"], ["gate"]),
        node("Mul", ["r", "gate"], ["m"], "unit"),
        node("Conv", ["m", "l"], ["y"], "last"),
    ]
    constants = {
        "k": random(6, 2, 3, 3),
        "s": random(3, 6, 1, 1, seed=1),
        "e": random(6, 3, 1, 1, seed=2),
        "l": random(4, 6, 1, 1, seed=3),
    }
    return _opened(nodes, (2, 6, 6), constants)


def shared() -> ImplicitModel:
    """One pair of layers used twice, the first time's result added to the second's."""
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "first"),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "v"], ["a"], "second"),
        node("MatMul", ["a", "w"], ["h2"], "again"),
        node("Relu", ["h2"], ["r2"]),
        node("MatMul", ["r2", "v"], ["b"], "again_second"),
        node("Add", ["a", "b"], ["y"]),
    ]
    return _opened(nodes, (4,), {"w": random(4, 6), "v": random(6, 4, seed=1)})


def heads() -> ImplicitModel:
    """Attention of two heads behind a reshape, then a layer of its own."""
    nodes = [
        *(node("MatMul", ["x", w], [f"{w}0"], w) for w in "qkv"),
        *(node("Reshape", [f"{w}0", "split"], [f"{w}1"]) for w in "qkv"),
        *(node("Transpose", [f"{w}1"], [f"{w}2"], perm=[0, 2, 1, 3]) for w in "qv"),
        node("Transpose", ["k1"], ["k2"], perm=[0, 2, 3, 1]),
        node("MatMul", ["q2", "k2"], ["scores"]),
        node("Softmax", ["scores"], ["p"], axis=-1),
        node("MatMul", ["p", "v2"], ["o"]),
        node("Transpose", ["o"], ["o1"], perm=[0, 2, 1, 3]),
        node("Reshape", ["o1", "join"], ["o2"]),
        node("MatMul", ["o2", "w"], ["h"], "out"),
        node("Relu", ["h"], ["r"]),
        node("MatMul", ["r", "d"], ["y"], "down"),
    ]
    constants = {w: random(6, 8, seed=i) for i, w in enumerate("qkv")}
    constants |= {"w": random(8, 5, seed=3), "d": random(5, 3, seed=4)}
    return _opened(nodes, (4, 6), constants | {"split": _int64(0, 4, 2, 4), "join": _int64(0, 4, 8)})


def sliced() -> ImplicitModel:
    """Two readers of overlapping stretches of one state, and a third of it beside another."""
    nodes = [
        node("MatMul", ["x", "w"], ["h"], "wide"),
        node("Relu", ["h"], ["r"]),
        node("Slice", ["r", "zero", "five", "one"], ["a"]),
        node("Slice", ["r", "two", "eight", "one"], ["b"]),
        node("MatMul", ["a", "v"], ["c"], "left"),
        node("Tanh", ["c"], ["t"]),
        node("Concat", ["t", "r", "b"], ["j"], axis=1),
        node("MatMul", ["j", "l"], ["y"], "last"),
    ]
    constants = {"w": random(5, 8), "v": random(5, 4, seed=1), "l": random(18, 3, seed=2)}
    places = {"zero": 0, "one": 1, "two": 2, "five": 5, "eight": 8}
    return _opened(nodes, (5,), constants | {name: _int64(value) for name, value in places.items()})


NETWORKS: Mapping[str, Callable[[], ImplicitModel]] = {
    "glu": glu,
    "gate and up": gate_and_up,
    "squeeze and excite": squeezed,
    "shared weights": shared,
    "heads": heads,
    "slices": sliced,
}
