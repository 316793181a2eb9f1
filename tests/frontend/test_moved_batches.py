"""Graphs that move the batch axis, or merge it with steps, are exact; those that mix samples are refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from sim_compress.frontend.weights import whole
from tests.frontend.graphs import assert_close, exact, node, random, random_inputs, refused, run

AXES = {
    "zero": np.array(0),
    "one": np.array(1),
    "two": np.array(2),
    "at0": np.array([0]),
    "at1": np.array([1]),
    "at2": np.array([2]),
    "back": np.array([0, 0, -1]),
    "half": np.asarray(0.5, np.float32),
}


def heads(*cut: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Queries, keys and values of (5, 24) in one product, brought before the batch and cut apart by `cut`."""
    return [
        node("MatMul", ["x", "w"], ["qkv"], "qkv"),
        node("Reshape", ["qkv", "split"], ["h"]),
        node("Transpose", ["h"], ["moved"], perm=[2, 0, 3, 1, 4]),
        *cut,
        node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
        node("MatMul", ["q", "kt"], ["s"], "scores"),
        node("Softmax", ["s"], ["p"], axis=-1),
        node("MatMul", ["p", "v"], ["m"], "mixed"),
        node("Transpose", ["m"], ["t"], perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "back"], ["y"]),
    ]


QKV = AXES | {"w": random(6, 24), "split": np.array([0, 5, 3, 2, 4])}
GATHERED = heads(*(node("Gather", ["moved", i], [n]) for i, n in (("zero", "q"), ("one", "k"), ("two", "v"))))
SPLIT = heads(
    node("Split", ["moved"], ["a", "b", "c"], axis=0),
    node("Mul", ["a", "half"], ["scaled"]),
    node("Squeeze", ["scaled", "at0"], ["q"]),
    node("Squeeze", ["b", "at0"], ["k"]),
    node("Squeeze", ["c", "at0"], ["v"]),
)
SLICED = heads(
    *(
        n
        for start, end, name in (("at0", "at1", "q"), ("at1", "at2", "k"), ("at2", "at3", "v"))
        for n in (
            node("Slice", ["moved", start, end, "at0"], [name + "1"]),
            node("Squeeze", [name + "1", "at0"], [name]),
        )
    )
)


@pytest.mark.parametrize(
    ("nodes", "opset"), [(GATHERED, 17), (SPLIT, 13), (SLICED, 17)], ids=["gather", "split", "slice"]
)
def test_heads_before_samples_are_exact(tmp_path: Path, nodes: list[onnx.NodeProto], opset: int) -> None:
    teacher = exact(tmp_path, nodes, {"x": (5, 6)}, QKV | {"at3": np.array([3])}, opset=opset)
    assert [b.name for b in teacher.model.blocks if b.affine.weighted] == ["qkv"]


def test_steps_before_samples_are_exact(tmp_path: Path) -> None:
    """Steps are cut from time-major activations, computed apart, stacked, padded and brought back."""
    nodes = [
        node("Transpose", ["x"], ["major"], perm=[1, 0, 2]),
        node("Relu", ["major"], ["r"]),
        *(
            n
            for i in range(3)
            for n in (
                node("Slice", ["x", f"at{i}", f"at{i + 1}", "at1"], [f"cut{i}"]),
                node("Squeeze", [f"cut{i}", "at1"], [f"step{i}"]),
                node("MatMul", [f"step{i}", "w"], [f"m{i}"], f"rows{i}"),
                node("Add", [f"m{i}", "b"], [f"z{i}"]),
                node("Unsqueeze", [f"z{i}", "at0"], [f"u{i}"]),
            )
        ),
        node("Concat", ["u0", "u1", "u2"], ["stack"], axis=0),
        node("Mul", ["stack", "every"], ["scaled"]),
        node("Pad", ["scaled", "pads"], ["padded"]),
        node("ReduceMax", ["padded"], ["largest"], axes=[0], keepdims=1),
        node("Sub", ["padded", "largest"], ["d"]),
        node("Transpose", ["d"], ["y"], perm=[1, 0, 2]),
    ]
    constants = AXES | {
        "at3": np.array([3]),
        "w": random(4, 2),
        "b": random(2),
        "every": random(3, 1, 2),
        "pads": np.array([1, 0, 0, 1, 0, 0]),
    }
    exact(tmp_path, nodes, {"x": (3, 4)}, constants)


SHARED_BY_STEPS = {
    "product": [node("MatMul", ["m", "w"], ["p"], "rows"), node("Add", ["p", "b"], ["z"])],
    "gemm": [node("Gemm", ["m", "wt", "b"], ["z"], "rows", transB=1, alpha=0.5, beta=2.0)],
}


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("rows", SHARED_BY_STEPS.values(), ids=SHARED_BY_STEPS)
def test_a_layer_shared_by_all_steps_is_exact_and_its_states_are_read(
    tmp_path: Path, rows: list[onnx.NodeProto], opset: int
) -> None:
    nodes = [
        node("Reshape", ["x", "merged"], ["m"]),
        *rows,
        node("Relu", ["z"], ["r"], "relu"),
        node("Softmax", ["r"], ["s"], "weights", axis=1),
        node("Mul", ["s", "c"], ["t"]),
        node("Reshape", ["t", "apart"], ["y"]),
    ]
    constants = {
        "merged": np.array([-1, 4]),
        "apart": np.array([-1, 3, 2]),
        "w": random(4, 2),
        "wt": random(2, 4),
        "b": random(2),
        "c": random(1, 2),
    }
    teacher = exact(tmp_path, nodes, {"x": (3, 4)}, constants, opset=opset)
    assert [(b.phi.name, b.affine.rows) for b in teacher.model.blocks] == [("relu", 2), ("softmax", 3)]
    assert len(teacher.model.blocks[0].affine.weighted) == 1
    before = teacher.tensors[teacher.model.blocks[0].name].before
    assert before is not None
    inputs = random_inputs(teacher, 3)
    (state,) = run(teacher.submodel(["x"], [before]), inputs).values()
    assert state.shape == (3, 3, 2)
    (output,) = run(whole(teacher.graph, teacher.weights), inputs).values()
    assert_close(output, run(teacher.path, inputs)["y"])


MIXED = {
    "Conv 'mixing': takes axis 0 of [1, N, 4] for the batch axis, which is axis 1": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Conv", ["t", "kernel"], ["c"], "mixing"),
        node("Transpose", ["c"], ["y"], perm=[1, 0, 2]),
    ],
    "Add 'mixing': its inputs have the batch axis in two places, [N, 1, 4] and [1, N, 4]": [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("Add", ["t", "u"], ["a"], "mixing"),
        node("Transpose", ["a"], ["y"], perm=[1, 0, 2]),
    ],
}


@pytest.mark.parametrize(("reason", "nodes"), MIXED.items(), ids=MIXED)
def test_moved_samples_that_meet_others_are_refused(
    tmp_path: Path, reason: str, nodes: list[onnx.NodeProto]
) -> None:
    constants = {"kernel": random(1, 1, 1)}
    assert reason in refused(tmp_path, nodes, {"x": (1, 4), "u": (1, 4)}, constants)


NOT_BROUGHT_BACK = {
    "[1, N, 4]": node("Transpose", ["x"], ["y"], perm=[1, 0, 2]),
    "[(N 2), 2]": node("Reshape", ["x", "merged"], ["y"]),
}


@pytest.mark.parametrize(("place", "moving"), NOT_BROUGHT_BACK.items(), ids=NOT_BROUGHT_BACK)
def test_samples_that_the_file_does_not_bring_back_come_first(
    tmp_path: Path, place: str, moving: onnx.NodeProto
) -> None:
    constants = {"merged": np.array([-1, 2])} if moving.op_type == "Reshape" else {}
    teacher = exact(tmp_path, [moving], {"x": (1, 4)}, constants)
    assert teacher.notes == (f"the file has the samples of output 'y' as {place}; here they come first",)
