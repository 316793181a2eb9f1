"""A weight that a network uses several times is one set of rows, whatever its uses are called in the file."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.frontend import load_teacher
from tests.frontend.graphs import assert_exact, exact, node, random, saved
from tests.shared_networks import NETWORKS, STEPS, recurrent


@pytest.mark.parametrize("network", NETWORKS)
def test_all_uses_have_the_same_arrays_and_outputs_are_those_of_onnxruntime(network: str, tmp_path: Path):
    graph = NETWORKS[network]()
    teacher = load_teacher(saved(tmp_path, graph))
    assert_exact(teacher)
    model, affines = teacher.model, dict(teacher.model.affines())
    shared = [model.uses(n) for n in filter(model.owns, model.owners) if len(model.uses(n)) > 1]
    assert len(shared) == {"recurrent": 1, "layers": 2, "towers": 1}[network]
    for owner, *others in shared:
        for other in others:
            pairs = zip(affines[owner].weights, affines[other].weights, strict=True)
            assert all(one is two for one, two in pairs)
            assert affines[owner].bias is affines[other].bias
    learned = {i.name: np.prod(i.dims) for i in graph.graph.initializer}
    # Normalisation has no rows.
    assert model.nnz == sum(size for name, size in learned.items() if name not in ("scale", "shift"))


def test_copies_of_a_weight_are_one_even_where_some_are_transposed(tmp_path: Path):
    teacher = load_teacher(saved(tmp_path, recurrent(copies=True)))
    assert_exact(teacher)
    (uses,) = [teacher.model.uses(n) for n in teacher.model.owners if len(teacher.model.uses(n)) > 1]
    assert len(uses) == STEPS


def test_a_weight_with_another_bias_is_one_array_but_not_the_same_rows(tmp_path: Path):
    nodes = [
        node("Gemm", ["x", "W", "a"], ["p"]),
        node("Relu", ["p"], ["r"]),
        node("Gemm", ["r", "W", "b"], ["y"]),
    ]
    constants = {"W": random(6, 6), "a": random(6, seed=1), "b": random(6, seed=2)}
    model = exact(tmp_path, nodes, {"x": (6,)}, constants).model
    (_, first), (_, second) = model.affines()
    assert first.weights[0] is second.weights[0]
    assert all(map(model.owns, model.owners))
    assert model.nnz == 2 * 36 + 12


def test_weights_that_differ_in_one_bit_are_two(tmp_path: Path):
    W = random(6, 6)
    other = W.copy()
    other[-1, -1] = np.nextafter(other[-1, -1], np.float32(np.inf))
    nodes = [
        node("MatMul", ["x", "W"], ["p"]),
        node("Relu", ["p"], ["r"]),
        node("MatMul", ["r", "other"], ["y"]),
    ]
    model = exact(tmp_path, nodes, {"x": (6,)}, {"W": W, "other": other}).model
    (_, first), (_, second) = model.affines()
    assert first.weights[0] is not second.weights[0]
    assert all(map(model.owns, model.owners))
