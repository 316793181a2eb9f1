"""Spelled-out functions become the one block that they are; whatever looks alike does not."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.frontend.graphs import exact, node, random

SQRT_HALF = np.float32(np.sqrt(0.5))
CONSTANTS = {
    "half": np.float32(0.5),
    "one": np.float32(1),
    "two": np.float32(2),
    "three": np.float32(3),
    "six": np.float32(6),
    "zero": np.float32(0),
    "root_half": SQRT_HALF,
    "root_two": 1 / SQRT_HALF,
    "cube": np.float32(0.044715),
    "slope": np.float32(np.sqrt(2 / np.pi)),
    "fast": np.float32(1.702),
    "eps": np.float32(1e-5),
    "sixth": np.float32(1 / 6),
    "count": np.float32(1 / 6),
    "gamma": random(6, seed=1),
    "beta": random(6, seed=2),
    "axis": np.array([-1]),
}


def n(operator: str, *names: str, **attributes: object) -> onnx.NodeProto:
    """A node whose last name is its output's."""
    return node(operator, names[:-1], names[-1:], names[-1], **attributes)


MEAN = {"axes": [-1], "keepdims": 1}
SPELLINGS = {
    "gelu of torch": [
        n("Div", "x", "root_two", "a"),
        n("Erf", "a", "b"),
        n("Add", "b", "one", "c"),
        n("Mul", "x", "c", "d"),
        n("Mul", "d", "half", "y"),
    ],
    "gelu of keras": [
        n("Mul", "half", "x", "a"),
        n("Mul", "x", "root_half", "b"),
        n("Erf", "b", "c"),
        n("Add", "one", "c", "d"),
        n("Mul", "a", "d", "y"),
    ],
    "gelu_tanh of jax": [
        n("Mul", "cube", "x", "a"),
        n("Mul", "x", "a", "b"),
        n("Mul", "x", "b", "c"),
        n("Add", "x", "c", "d"),
        n("Mul", "slope", "d", "e"),
        n("Tanh", "e", "f"),
        n("Add", "one", "f", "g"),
        n("Mul", "half", "g", "h"),
        n("Mul", "x", "h", "y"),
    ],
    "gelu_tanh of torch": [
        n("Pow", "x", "three", "a"),
        n("Mul", "a", "cube", "b"),
        n("Add", "x", "b", "c"),
        n("Mul", "c", "slope", "d"),
        n("Tanh", "d", "e"),
        n("Add", "e", "one", "f"),
        n("Mul", "x", "f", "g"),
        n("Mul", "g", "half", "y"),
    ],
    "swish": [n("Sigmoid", "x", "a"), n("Mul", "x", "a", "y")],
    "swish of clip": [n("Mul", "x", "fast", "a"), n("Sigmoid", "a", "b"), n("Mul", "b", "x", "y")],
    "mish": [n("Softplus", "x", "a"), n("Tanh", "a", "b"), n("Mul", "x", "b", "y")],
    "hard_swish of paddle": [
        n("Add", "x", "three", "a"),
        n("Clip", "a", "zero", "six", "b"),
        n("Mul", "x", "b", "c"),
        n("Div", "c", "six", "y"),
    ],
    "hard_swish of torch": [n("HardSigmoid", "x", "a", alpha=1 / 6), n("Mul", "a", "x", "y")],
    "layer_norm of torch": [
        n("ReduceMean", "x", "a", **MEAN),
        n("Sub", "x", "a", "b"),
        n("Pow", "b", "two", "c"),
        n("ReduceMean", "c", "d", **MEAN),
        n("Add", "d", "eps", "e"),
        n("Sqrt", "e", "f"),
        n("Div", "b", "f", "g"),
        n("Mul", "g", "gamma", "h"),
        n("Add", "h", "beta", "y"),
    ],
    "layer_norm of tensorflow": [
        n("ReduceMean", "x", "a", **MEAN),
        n("Mul", "x", "x", "b"),
        n("ReduceSum", "b", "axis", "c", keepdims=1),
        n("Mul", "c", "count", "d"),
        n("Mul", "a", "a", "e"),
        n("Sub", "d", "e", "f"),
        n("Max", "zero", "f", "g"),
        n("Add", "g", "eps", "h"),
        n("Sqrt", "h", "i"),
        n("Reciprocal", "i", "j"),
        n("Mul", "j", "gamma", "k"),
        n("Mul", "x", "k", "l"),
        n("Mul", "a", "k", "m"),
        n("Sub", "beta", "m", "o"),
        n("Add", "l", "o", "y"),
    ],
    "rms_norm of llama": [
        n("Pow", "x", "two", "a"),
        n("ReduceMean", "a", "b", **MEAN),
        n("Add", "b", "eps", "c"),
        n("Sqrt", "c", "d"),
        n("Div", "one", "d", "e"),
        n("Mul", "x", "e", "f"),
        n("Mul", "gamma", "f", "y"),
    ],
    "lp_norm of torch": [
        n("ReduceL2", "x", "a", **MEAN),
        n("Clip", "a", "eps", "b"),
        n("Div", "x", "b", "y"),
    ],
    "softmax of jax": [
        n("ReduceMax", "x", "a", **MEAN),
        n("Sub", "x", "a", "b"),
        n("Exp", "b", "c"),
        n("ReduceSum", "c", "axis", "d", keepdims=1),
        n("Div", "c", "d", "y"),
    ],
}


@pytest.mark.parametrize(("name", "nodes"), SPELLINGS.items(), ids=SPELLINGS)
def test_a_spelled_out_function_behind_rows_is_their_phi(
    tmp_path: Path, name: str, nodes: list[onnx.NodeProto]
) -> None:
    product = node("MatMul", ["u", "w"], ["x"], "product")
    teacher = exact(tmp_path, [product, *nodes], {"u": (5, 4)}, CONSTANTS | {"w": random(4, 6)})
    (block,) = teacher.model.blocks
    assert block.phi.name == name.split()[0]
    assert block.affine.nnz == 24
    assert teacher.tensors[block.name].before == "x"


# One node of a spelling, and what replaces it.
LOOKALIKES = {
    "another cube": ("gelu_tanh of torch", 1, n("Mul", "a", "sixth", "b")),
    "another half": ("gelu of torch", 4, n("Mul", "d", "sixth", "y")),
    "another epsilon": ("rms_norm of llama", 2, n("Mul", "b", "eps", "c")),
    "no clip": ("hard_swish of paddle", 1, n("Clip", "a", "zero", "three", "b")),
}


@pytest.mark.parametrize(("spelling", "place", "other"), LOOKALIKES.values(), ids=LOOKALIKES)
def test_what_only_looks_like_it_is_lowered_node_by_node(
    tmp_path: Path, spelling: str, place: int, other: onnx.NodeProto
) -> None:
    nodes = list(SPELLINGS[spelling])
    nodes[place] = other
    teacher = exact(tmp_path, nodes, {"x": (6, 6)}, CONSTANTS)
    assert len(teacher.model.blocks) > 1


def test_a_function_whose_inside_is_read_elsewhere_is_lowered_node_by_node(tmp_path: Path) -> None:
    nodes = [*SPELLINGS["gelu of torch"], n("Neg", "b", "z")]
    teacher = exact(tmp_path, nodes, {"x": (5, 6)}, CONSTANTS, outputs=["y", "z"])
    assert "erf" in {b.phi.name for b in teacher.model.blocks}
