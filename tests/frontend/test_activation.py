"""Nonlinear nodes are blocks that equal onnxruntime's."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.frontend import StateTensors
from tests.frontend.graphs import exact, node, refused

INFINITE = np.float32(np.inf)
NODES = {
    "relu": (node("Relu", ["x"], ["y"], "phi"), {}),
    "leaky_relu": (node("LeakyRelu", ["x"], ["y"], "phi", alpha=0.3), {}),
    "leaky_relu default": (node("LeakyRelu", ["x"], ["y"], "phi"), {}),
    "sigmoid": (node("Sigmoid", ["x"], ["y"], "phi"), {}),
    "tanh": (node("Tanh", ["x"], ["y"], "phi"), {}),
    "clip": (node("Clip", ["x", "a", "b"], ["y"], "phi"), {"a": np.float32(-0.5), "b": np.float32(0.7)}),
    "clip above": (node("Clip", ["x", "", "b"], ["y"], "phi"), {"b": np.float32(0.7)}),
    "clip nothing": (node("Clip", ["x", "a", "b"], ["y"], "phi"), {"a": -INFINITE, "b": INFINITE}),
    "clip below": (node("Clip", ["x", "a"], ["y"], "phi"), {"a": np.float32(-0.5)}),
}


@pytest.mark.parametrize(("name", "case"), NODES.items(), ids=NODES)
def test_a_nonlinear_node_is_one_block(tmp_path: Path, name: str, case: tuple) -> None:
    teacher = exact(tmp_path, [case[0]], {"x": (3, 4)}, case[1])
    assert [(b.name, b.phi.name) for b in teacher.model.blocks] == [("phi", name.split()[0])]
    assert teacher.tensors == {"phi": StateTensors("x", "y")}


def test_clip_of_old_operator_sets_is_exact(tmp_path: Path) -> None:
    exact(tmp_path, [node("Clip", ["x"], ["y"], min=-0.5, max=0.7)], {"x": (3, 4)}, opset=9)


def test_clip_with_computed_bounds_is_refused(tmp_path: Path) -> None:
    nodes = [node("ReduceMax", ["x"], ["m"], "max", keepdims=0), node("Clip", ["x", "", "m"], ["y"], "clip")]
    assert "ReduceMax 'max'" in refused(tmp_path, nodes, {"x": (3,)})
