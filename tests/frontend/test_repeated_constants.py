"""Constants that an exporter repeated for every sample of a fixed batch."""

from pathlib import Path

import numpy as np
import pytest

from sim_compress.frontend import load_teacher
from sim_compress.frontend.weights import whole
from tests.frontend.graphs import assert_exact, graph_of, node, random, random_inputs, run, saved


def _fixed(folder: Path, nodes: list, constants: dict, size: int) -> Path:
    model = graph_of(nodes, {"x": (3, 4)}, constants)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = size
    return saved(folder, model)


@pytest.mark.parametrize("size", [1, 2])
def test_a_token_before_every_sample_is_joined_to_any_batch(tmp_path: Path, size: int) -> None:
    token = np.repeat(random(1, 1, 4), size, axis=0)
    nodes = [
        node("Concat", ["c", "x"], ["t"], "tokens", axis=1),
        node("MatMul", ["t", "w"], ["y"], "rows"),
    ]
    path = _fixed(tmp_path, nodes, {"c": token, "w": random(4, 2)}, size)
    teacher = load_teacher(path)
    inputs = random_inputs(teacher, 2 * size)
    expected = np.concatenate(
        [run(path, {"x": inputs["x"][i : i + size]})["y"] for i in range(0, 2 * size, size)]
    )
    np.testing.assert_allclose(run(whole(teacher.graph, teacher.weights), inputs)["y"], expected, atol=1e-6)
    part = teacher.submodel(["x"], [teacher.outputs["y"]])
    np.testing.assert_allclose(run(part, inputs)["y"], expected, atol=1e-6)


def test_a_token_expanded_to_a_computed_batch_is_exact(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "zero"], ["n"], axis=0),
        node("Concat", ["n", "rest"], ["target"], axis=0),
        node("Expand", ["c", "target"], ["e"]),
        node("Concat", ["e", "x"], ["t"], "tokens", axis=1),
        node("Add", ["t", "p"], ["y"]),
    ]
    constants = {
        "zero": np.zeros(1, np.int64),
        "rest": np.array([1, 4]),
        "c": random(1, 1, 4),
        "p": random(1, 4, 4),
    }
    assert_exact(load_teacher(saved(tmp_path, graph_of(nodes, {"x": (3, 4)}, constants))))


def test_a_constant_that_differs_between_samples_makes_the_batch_an_axis_of_one_sample(
    tmp_path: Path,
) -> None:
    path = _fixed(tmp_path, [node("Add", ["x", "c"], ["y"])], {"c": random(2, 3, 4)}, 2)
    teacher = load_teacher(path)
    assert teacher.notes
    assert teacher.model.inputs[0].shape == (2, 3, 4)
