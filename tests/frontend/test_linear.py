"""Matrix products with constants on either side equal onnxruntime's."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from sim_compress.frontend import StateTensors, load_teacher
from tests.frontend.graphs import assert_exact, exact, graph_of, node, random, refused, saved


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("bias", [(4,), (1, 4), (1,), (), None])
def test_a_gemm_is_exact_for_alpha_beta_and_transposed_weights(
    tmp_path: Path, transposed: int, bias: tuple[int, ...] | None
) -> None:
    constants = {"w": random(4, 6) if transposed else random(6, 4)}
    names = ["x", "w"]
    if bias is not None:
        constants["c"] = np.asarray(random(*bias))
        names.append("c")
    nodes = [node("Gemm", names, ["y"], transB=transposed, alpha=0.5, beta=-2.0)]
    teacher = exact(tmp_path, nodes, {"x": (6,)}, constants)
    assert teacher.model.outputs[0].affine.rows == 4


def test_a_gemm_adds_an_activation_as_a_fixed_term(tmp_path: Path) -> None:
    nodes = [node("Gemm", ["x", "w", "u"], ["y"], beta=0.5)]
    teacher = exact(tmp_path, nodes, {"x": (6,), "u": (4,)}, {"w": random(6, 4)})
    assert [t.weight is None for t in teacher.model.outputs[0].affine.terms] == [False, True]


@pytest.mark.parametrize("shape", [(6,), (5, 6), (3, 5, 6)])
def test_a_product_with_a_constant_on_the_right_ties_its_rows_over_all_tokens(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["b", "m"], ["y"])]
    teacher = exact(tmp_path, nodes, {"x": shape}, {"w": random(6, 4), "b": random(4)})
    affine = teacher.model.outputs[0].affine
    assert (affine.rows, affine.row_axis) == (4, len(shape) - 1)
    assert teacher.model.nnz == 4 * 7


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
@pytest.mark.parametrize("leading", [(), (1,)])
def test_a_product_with_a_constant_on_the_left_mixes_tokens(
    tmp_path: Path, shape: tuple[int, ...], leading: tuple[int, ...]
) -> None:
    teacher = exact(
        tmp_path, [node("MatMul", ["w", "x"], ["y"])], {"x": shape}, {"w": random(*leading, 4, 6)}
    )
    affine = teacher.model.outputs[0].affine
    assert (affine.rows, affine.row_axis) == (4, len(shape) - 2)


def test_a_second_product_reads_an_identity_block(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "v"], ["m"], "first"), node("MatMul", ["m", "w"], ["y"], "second")]
    teacher = exact(tmp_path, nodes, {"x": (5, 6)}, {"v": random(6, 3), "w": random(3, 4)})
    assert [(b.name, b.phi.name) for b in teacher.model.blocks] == [("first", "identity")]
    assert teacher.tensors["first"] == StateTensors("m", "m")


STRETCHED = {
    "right": (["x", "w"], (1, 3, 4), (2, 4, 5)),
    "left": (["w", "x"], (1, 3, 4), (2, 5, 3)),
    "outer": (["x", "w"], (2, 1, 3, 4), (5, 4, 3)),
    "both": (["x", "w"], (2, 1, 3, 4), (1, 5, 4, 3)),
}


@pytest.mark.parametrize(("names", "shape", "weight"), STRETCHED.values(), ids=STRETCHED)
def test_a_stack_of_constants_that_repeats_an_activation_is_exact(
    tmp_path: Path, names: list[str], shape: tuple[int, ...], weight: tuple[int, ...]
) -> None:
    teacher = exact(tmp_path, [node("MatMul", names, ["y"])], {"x": shape}, {"w": random(*weight)})
    assert teacher.model.nnz == np.prod(weight)


TURNED = {
    "from the left": ([4, "N"], ["w", "x"], (2, 4), {}),
    "turned on the left": ([4, "N"], ["x", "w"], (4, 2), {"transA": 1}),
    "both turned": ([4, "N"], ["x", "w"], (2, 4), {"transA": 1, "transB": 1, "alpha": 0.5}),
    "on the right": (["N", 4], ["w", "x"], (2, 4), {"transB": 1}),
    "a constant turned": (["N", 4], ["w", "x"], (4, 2), {"transA": 1, "transB": 1}),
}


@pytest.mark.parametrize(("axes", "names", "weight", "settings"), TURNED.values(), ids=TURNED)
@pytest.mark.parametrize("opset", [11, 17])
def test_a_gemm_is_exact_from_either_side(
    tmp_path: Path, axes: list, names: list[str], weight: tuple[int, int], settings: dict, opset: int
) -> None:
    model = graph_of(
        [node("Gemm", names, ["y"], "rows", **settings)], {}, {"w": random(*weight)}, opset=opset
    )
    model.graph.input.append(helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, axes))
    teacher = load_teacher(saved(tmp_path, model))
    assert teacher.model.inputs[0].shape == (4,)
    assert teacher.model.nnz == 8
    assert_exact(teacher)


REFUSED = {
    "sums over axis 1 of [3, N], the batch axis": (
        [node("Gemm", ["x", "w"], ["y"], transA=1)],
        {"x": (3,)},
        {"w": random(2, 4)},
    ),
    "sums over axis 0 of [N, 4], the batch axis": (
        [node("MatMul", ["w", "x"], ["y"])],
        {"x": (4,)},
        {"w": random(2, 3)},
    ),
    "multiplies the batch axis of [N, 4] with that of [4, N]": (
        [node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["y"])],
        {"x": (4,)},
        {},
    ),
}


@pytest.mark.parametrize(("reason", "case"), REFUSED.items(), ids=REFUSED)
def test_a_product_that_mixes_samples_is_refused(tmp_path: Path, reason: str, case: tuple) -> None:
    assert reason in refused(tmp_path, *case)
