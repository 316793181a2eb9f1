"""What follows the last parameters of a network, or precedes the first, does not stand in its way."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress import Settings, compress
from sim_compress.frontend import Teacher, load_teacher
from sim_compress.runtime import Session
from sim_compress.states import NetworkTeacher
from tests.frontend.graphs import assert_close, graph_of, node, random, random_inputs, run, saved

ML = "ai.onnx.ml"
KINDS = onnx.TensorProto


def _with_outputs(path: Path, names: list[str]) -> onnx.ModelProto:
    """The network with more of its tensors as outputs."""
    model = onnx.load(path)
    known = {o.name for o in model.graph.output}
    model.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names if n not in known)
    return model


def _assert_tensors(teacher: Teacher, batches: tuple[int, ...] = (1, 3, 8)) -> None:
    """Every output of the model is the tensor of that name in the file, whether or not the file gives it."""
    names = [o.name for o in teacher.model.outputs]
    model = _with_outputs(teacher.path, names)
    for samples in batches:
        feed = random_inputs(teacher, samples)
        found, expected = Session(teacher.model).predict(feed), run(model, feed)
        for name in names:
            assert_close(found[name], expected[name].astype(found[name].dtype))


def _assert_tail_is_kept_or_named(teacher: Teacher, outputs: Mapping[str, str]) -> None:
    """An output of the file is one of the model, or a note names the node that it is cut at."""
    given = {o.name for o in teacher.model.outputs}
    for output, cut in outputs.items():
        assert output in given or any(repr(cut) in note for note in teacher.notes)


def _assert_halves(teacher: Teacher) -> None:
    inputs = random_inputs(teacher, 32)
    result = compress(NetworkTeacher(teacher), inputs, Settings(0.5, tune=0))
    assert result.sparsity == pytest.approx(0.5, abs=0.02)
    Session(result.model).predict(random_inputs(teacher, 3))


def _largest(k: int, behind: bool) -> onnx.ModelProto:
    nodes = [
        node("Gemm", ["x", "w1"], ["a"], "first"),
        node("Relu", ["a"], ["b"], "relu"),
        node("Gemm", ["b", "w2"], ["c"], "second"),
        node("TopK", ["c", "k"], ["values", "places"], "largest", axis=1),
    ]
    constants = {"w1": random(8, 16), "w2": random(16, 9, seed=1), "k": np.array([k])}
    if behind:
        nodes.append(node("Gemm", ["values", "w3"], ["y"], "third"))
        constants["w3"] = random(k, 3, seed=2)
    outputs = ["y" if behind else "values", "places"]
    model = graph_of(nodes, {"x": (8,)}, constants, outputs=outputs)
    model.graph.output[1].type.tensor_type.elem_type = KINDS.INT64
    return model


@pytest.mark.parametrize("behind", [False, True], ids=["the last", "a layer behind"])
def test_the_largest_scores_are_kept_or_cut_with_a_note(tmp_path: Path, behind: bool) -> None:
    teacher = load_teacher(saved(tmp_path, _largest(4, behind)))
    ends = ["places", "y" if behind else "values"]
    _assert_tail_is_kept_or_named(teacher, dict.fromkeys(ends, "largest"))
    _assert_tensors(teacher)
    _assert_halves(teacher)


def test_boxes_are_given_before_they_are_suppressed(tmp_path: Path) -> None:
    """The file is for one image; how many boxes are left depends on it."""
    nodes = [
        node("Conv", ["x", "w"], ["a"], "conv"),
        node("Relu", ["a"], ["r"], "relu"),
        node("Conv", ["r", "w_boxes"], ["b"], "boxes"),
        node("Conv", ["r", "w_scores"], ["s"], "scores"),
        node("Reshape", ["b", "four"], ["b_flat"], "boxes_flat"),
        node("Transpose", ["b_flat"], ["box_list"], "box_list", perm=[0, 2, 1]),
        node("Reshape", ["s", "two"], ["s_flat"], "scores_flat"),
        node("Sigmoid", ["s_flat"], ["score_list"], "score_list"),
        node(
            "NonMaxSuppression", ["box_list", "score_list", "most", "overlap", "least"], ["kept"], "suppress"
        ),
    ]
    constants = {
        "w": random(8, 3, 3, 3),
        "w_boxes": random(4, 8, 1, 1, seed=1),
        "w_scores": random(2, 8, 1, 1, seed=2),
        "four": np.array([1, 4, 36]),
        "two": np.array([1, 2, 36]),
        "most": np.array([5]),
        "overlap": np.array([0.5], np.float32),
        "least": np.array([0.3], np.float32),
    }
    model = graph_of(nodes, {"x": (3, 8, 8)}, constants)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.output[0].type.tensor_type.elem_type = KINDS.INT64
    model.graph.output[0].type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    teacher = load_teacher(saved(tmp_path, model))
    assert {o.name for o in teacher.model.outputs} == {"box_list", "score_list"}
    assert any("NonMaxSuppression" in note and "'suppress'" in note for note in teacher.notes)
    _assert_tensors(teacher, batches=(1,))
    _assert_halves(teacher)


def test_scikit_learns_network_keeps_its_probabilities(tmp_path: Path) -> None:
    """Its scaler is a fixed map; its labels, picked from a list, are kept or cut with a note."""
    nodes = [
        helper.make_node(
            "Scaler", ["x"], ["xs"], "scaler", domain=ML, offset=[1.0, 2, 3, 4], scale=[0.5, 1, 2, 4]
        ),
        node("MatMul", ["xs", "w1"], ["a"], "first"),
        node("Add", ["a", "b1"], ["a1"], "bias"),
        node("Relu", ["a1"], ["r"], "relu"),
        node("MatMul", ["r", "w2"], ["o"], "second"),
        node("Softmax", ["o"], ["probabilities"], "softmax", axis=1),
        node("ArgMax", ["probabilities"], ["best"], "best", axis=1, keepdims=0),
        helper.make_node("ArrayFeatureExtractor", ["classes", "best"], ["picked"], "picked", domain=ML),
        node("Reshape", ["picked", "flat"], ["label"], "label"),
    ]
    constants = {
        "w1": random(4, 16),
        "b1": random(16, seed=1),
        "w2": random(16, 3, seed=2),
        "classes": np.array([10, 20, 30]),
        "flat": np.array([-1]),
    }
    outputs = ["label", "probabilities"]
    model = graph_of(nodes, {"x": (4,)}, constants, outputs=outputs, domains={ML: 3})
    model.graph.output[0].type.tensor_type.elem_type = KINDS.INT64
    teacher = load_teacher(saved(tmp_path, model))
    assert "probabilities" in {o.name for o in teacher.model.outputs}
    _assert_tail_is_kept_or_named(teacher, {"label": "picked"})
    _assert_tensors(teacher)
    _assert_halves(teacher)


def _cached() -> onnx.ModelProto:
    """Attention of one token to those before it, whose keys and values are inputs."""
    nodes = [
        *(node("MatMul", ["x", f"w{c}"], [c], c) for c in "qkv"),
        node("Concat", ["past_k", "k"], ["present_k"], "keys", axis=1),
        node("Concat", ["past_v", "v"], ["present_v"], "values", axis=1),
        node("Transpose", ["present_k"], ["turned"], "turned", perm=[0, 2, 1]),
        node("MatMul", ["q", "turned"], ["scores"], "scores"),
        node("Softmax", ["scores"], ["weights"], "softmax", axis=-1),
        node("MatMul", ["weights", "present_v"], ["mixed"], "mixed"),
        node("MatMul", ["mixed", "wo"], ["y"], "out"),
    ]
    constants = {f"w{c}": random(16, 16, seed=i) for i, c in enumerate("qkvo")}
    shapes = {"x": (1, 16), "past_k": ("past", 16), "past_v": ("past", 16)}
    return graph_of(nodes, shapes, constants, outputs=["y", "present_k", "present_v"])


@pytest.mark.parametrize("past", [0, 5])
def test_cached_keys_of_any_number_are_read_none_too(tmp_path: Path, past: int) -> None:
    path = saved(tmp_path, _cached())
    teacher = load_teacher(path, {"past_k": (1, past, 16), "past_v": (1, past, 16)})
    for samples in (1, 3, 8):
        sizes = {"x": 1, "past_k": past, "past_v": past}
        feed = {name: random(samples, size, 16, seed=i) for i, (name, size) in enumerate(sizes.items())}
        # An input of no numbers may be none of the model's.
        asked = {i.name for i in teacher.model.inputs}
        found = Session(teacher.model).predict({n: v for n, v in feed.items() if n in asked})
        for name, value in run(path, feed).items():
            assert_close(found[name], value)
    _assert_halves(teacher)


def test_a_tail_that_sorts_more_than_is_supported_is_cut(tmp_path: Path) -> None:
    """As in a detector that keeps the best of some thousand boxes."""
    nodes = [
        node("MatMul", ["x", "w"], ["scores"], "scores"),
        node("TopK", ["scores", "k"], ["best", "places"], "best_boxes", axis=1),
        node("Relu", ["best"], ["y"], "relu"),
    ]
    model = graph_of(nodes, {"x": (4,)}, {"w": random(4, 1100), "k": np.array([3])}, ["y"])
    teacher = load_teacher(saved(tmp_path, model))
    assert [o.name for o in teacher.model.outputs] == ["scores"]
    assert any("TopK 'best_boxes'" in note for note in teacher.notes)
    _assert_tensors(teacher)
