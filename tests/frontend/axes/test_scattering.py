"""Entries written over others, put in order, turned round, and one number for each place."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress.errors import UnsupportedError
from sim_compress.frontend import load_teacher
from tests.frontend.graphs import assert_exact, exact, graph_of, node, random, refused, saved, typed


@pytest.mark.parametrize("axis", [1, -1])
def test_entries_are_written_over_an_activation_at_constant_places(tmp_path: Path, axis: int) -> None:
    places = np.array([[[0, 3, 1, 2], [1, 0, 2, 3]]])
    scatter = node("ScatterElements", ["x", "places", "new"], ["y"], "scatter", axis=axis)
    constants = {"new": random(1, 2, 4), "places": places[:, :, :4] % (3 if axis == 1 else 4)}
    model = graph_of([scatter], {"x": (3, 4)}, constants)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    teacher = load_teacher(saved(tmp_path, model))
    assert_exact(teacher)


def test_activations_are_written_over_constants_and_over_each_other(tmp_path: Path) -> None:
    places = np.array([[0], [2]])
    turned = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Transpose", ["u"], ["v"], perm=[1, 0, 2]),
        node("ScatterND", ["t", "places", "v"], ["s"], "scatter"),
        node("Transpose", ["s"], ["y"], perm=[1, 0, 2]),
    ]
    exact(tmp_path, turned, {"x": (3, 4), "u": (2, 4)}, {"places": places}, ["y"])
    whole = [node("ScatterND", ["zeros", "places", "x"], ["y"], "scatter")]
    model = graph_of(whole, {"x": (4,)}, {"places": places, "zeros": random(3, 4)})
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    assert_exact(load_teacher(saved(tmp_path, model)))


def test_places_that_data_decide_samples_that_mix_and_sums_are_refused(tmp_path: Path) -> None:
    constants = {"places": np.array([[0]]), "new": random(1, 3)}
    over = [node("ScatterND", ["x", "places", "new"], ["y"], "scatter")]
    message = refused(tmp_path, over, {"x": (3,)}, constants)
    assert "ScatterND 'scatter': writes along axis 0 of [N, 3], the batch axis" in message
    by_data = [
        node("Cast", ["i"], ["places"], to=onnx.TensorProto.INT64),
        node("ScatterElements", ["x", "places", "x"], ["y"], "scatter", axis=1),
    ]
    message = refused(tmp_path, by_data, {"x": (3,), "i": (3,)})
    assert "writes entries at places that depend on the values of the network's inputs" in message
    added = [
        node("Transpose", ["x"], ["t"]),
        node("ScatterND", ["t", "places", "t1"], ["y"], "scatter", reduction="add"),
        node("Slice", ["t", "zero", "one", "zero"], ["t1"]),
    ]
    added = [added[0], added[2], added[1]]
    constants = {"places": np.array([[0]]), "zero": np.array([0]), "one": np.array([1])}
    assert "combines entries by add" in refused(tmp_path, added, {"x": (3,)}, constants)


def test_samples_in_the_order_of_their_lengths_are_read_one_at_a_time(tmp_path: Path) -> None:
    """As torch packs sequences: sorted by length, through a recurrent layer, and back into their order."""
    nodes = [
        node("Shape", ["lengths"], ["count"]),
        node("TopK", ["lengths", "count"], ["sorted", "order"], "sort"),
        node("Gather", ["x", "order"], ["ordered"], axis=0),
        node("Transpose", ["ordered"], ["t"], perm=[1, 0, 2]),
        node("Cast", ["sorted"], ["steps"], to=onnx.TensorProto.INT32),
        node("GRU", ["t", "w", "r", "", "steps"], ["s", "h"], "cell", hidden_size=4),
        node("Range", ["zero", "number", "one"], ["counted"]),
        node("Squeeze", ["count", "first"], ["number"]),
        node("Expand", ["zero", "count"], ["zeros"]),
        node("ScatterElements", ["zeros", "order", "counted"], ["inverse"], axis=0),
        node("Gather", ["h", "inverse"], ["y"], "back", axis=1),
    ]
    nodes = [*nodes[:6], nodes[7], nodes[6], *nodes[8:]]
    constants = {
        "w": random(1, 12, 3),
        "r": random(1, 12, 4),
        "zero": np.array(0),
        "one": np.array(1),
        "first": np.array([0]),
    }
    model = graph_of(nodes, {"x": (5, 3), "lengths": ()}, constants, ["y"])
    teacher = load_teacher(saved(tmp_path, typed(model, {"lengths": onnx.TensorProto.INT64})))
    assert any("one sample at a time" in note for note in teacher.notes)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    lengths = np.array([2, 5, 3])
    assert_exact(teacher, {"x": random(3, 5, 3), "lengths": lengths})


def test_the_largest_entries_are_found_in_older_operator_sets(tmp_path: Path) -> None:
    largest = [node("TopK", ["x", "k"], ["y", "places"], "largest"), node("Relu", ["y"], ["z"])]
    exact(tmp_path, largest, {"x": (6,)}, {"k": np.array([3])}, ["z", "y"], opset=10)


@pytest.mark.parametrize("length", [4, 2])
def test_sequences_are_turned_round(tmp_path: Path, length: int) -> None:
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Shape", ["x"], ["count"], start=0, end=1),
        node("Expand", ["length", "count"], ["lengths"]),
        node("ReverseSequence", ["t", "lengths"], ["y"], "turn", time_axis=0, batch_axis=1),
    ]
    exact(tmp_path, nodes, {"x": (4, 3)}, {"length": np.array([length])})


@pytest.mark.parametrize("opset", [9, 17])
@pytest.mark.parametrize("axis", [-1, 1])
def test_ids_become_one_number_for_each_place(tmp_path: Path, axis: int, opset: int) -> None:
    hot = node("OneHot", ["i", "depth", "values"], ["y"], "hot", axis=axis)
    constants = {"depth": np.array([5]), "values": np.array([0.5, 2], np.float32)}
    model = typed(graph_of([hot], {"i": (3,)}, constants, opset=opset), {"i": onnx.TensorProto.INT64})
    teacher = load_teacher(saved(tmp_path, model))
    assert_exact(teacher, {"i": np.array([[0, 4, -1], [2, 7, -6]])})


def test_two_numbers_that_the_network_computes_are_refused(tmp_path: Path) -> None:
    nodes = [
        node("Cast", ["x"], ["i"], to=onnx.TensorProto.INT64),
        node("ReduceMax", ["c"], ["v"], axes=[1], keepdims=0),
        node("OneHot", ["i", "depth", "v"], ["y"], "hot"),
    ]
    model = graph_of(nodes, {"x": (3,), "c": (2,)}, {"depth": np.array([5])})
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(UnsupportedError, match="OneHot 'hot': its two numbers are computed"):
        load_teacher(saved(tmp_path, model))
