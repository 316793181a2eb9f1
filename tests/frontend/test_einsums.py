"""Einsum and products with stacks of matrices equal onnxruntime's, as tied rows."""

from pathlib import Path

import pytest

from tests.frontend.graphs import exact, node, random, refused

CONSTANT = {
    "linear": ("bi,oi->bo", (4,), (3, 4), 12),
    "tokens": ("btd,df->btf", (5, 4), (4, 3), 12),
    "heads out": ("btd,hde->bhte", (5, 4), (2, 4, 3), 24),
    "heads in": ("bhte,hed->btd", (2, 5, 3), (2, 3, 4), 24),
    "one matrix a head": ("bhte,hef->bhtf", (2, 5, 3), (2, 3, 4), 24),
    "implicit result": ("bij,jk", (5, 4), (4, 3), 12),
    "ellipsis": ("...i,io->...o", (2, 5, 4), (4, 3), 12),
    "summed before": ("bijk,jl->bil", (3, 4, 2), (4, 5), 20),
    "scale": ("bij,j->bji", (3, 4), (4,), 0),
}


@pytest.mark.parametrize("case", CONSTANT.values(), ids=CONSTANT)
@pytest.mark.parametrize("first", [True, False])
def test_einsums_with_a_constant_are_exact(tmp_path: Path, case: tuple, first: bool) -> None:
    equation, shape, weight, parameters = case
    left, right, *result = equation.replace("->", ",").split(",")
    if first:
        equation = "->".join([f"{right},{left}", *result])
    nodes = [node("Einsum", ["w", "x"] if first else ["x", "w"], ["y"], "sum", equation=equation)]
    if first and not result:
        assert "equation" in refused(tmp_path, nodes, {"x": shape}, {"w": random(*weight).T})
        return
    teacher = exact(tmp_path, nodes, {"x": shape}, {"w": random(*weight)})
    assert teacher.model.nnz == parameters


@pytest.mark.parametrize("opset", [12, 13, 18])
def test_einsums_of_one_activation_are_exact(tmp_path: Path, opset: int) -> None:
    for equation in ("bij->bji", "bij->bi", "bijk->bkj", "bij->jbi"):
        shape = (3, 4) if equation.startswith("bij-") else (3, 4, 2)
        exact(tmp_path, [node("Einsum", ["x"], ["y"], equation=equation)], {"x": shape}, opset=opset)


@pytest.mark.parametrize("equation", ["bhid,bhjd->bhij", "bihd,bjhd->bhij", "bhid,bhje->bhde"])
def test_einsums_of_two_activations_are_exact(tmp_path: Path, equation: str) -> None:
    nodes = [node("Einsum", ["x", "u"], ["y"], "scores", equation=equation)]
    exact(tmp_path, nodes, {"x": (2, 2, 4), "u": (2, 2, 4)})


STACKS = {
    "a stack": ((2, 5, 4), (2, 4, 3), False),
    "a stack of stacks": ((2, 3, 5, 4), (3, 4, 6), False),
    "a stack behind an axis of one": ((2, 3, 5, 4), (1, 2, 3, 4, 6), False),
    "a stack on the left": ((2, 4, 5), (2, 3, 4), True),
    "a vector": ((5, 4), (4,), False),
    "a vector for one token": ((4,), (4,), False),
    "a vector on the left": ((4, 5), (4,), True),
}


@pytest.mark.parametrize("case", STACKS.values(), ids=STACKS)
def test_products_with_stacks_and_vectors_are_exact(tmp_path: Path, case: tuple) -> None:
    shape, weight, left = case
    nodes = [node("MatMul", ["w", "x"] if left else ["x", "w"], ["y"], "product")]
    constant = random(*weight)
    teacher = exact(tmp_path, nodes, {"x": shape}, {"w": constant})
    assert teacher.model.nnz == constant.size
    assert [b.name for b in teacher.model.blocks] == ["product"]


@pytest.mark.parametrize("equation", ["bii->bi", "bij,bjk,bkl->bil", "bij->ij", "bij,ibj->bij"])
def test_other_einsums_are_refused(tmp_path: Path, equation: str) -> None:
    operands = ["x", "u", "v"][: equation.count(",") + 1]
    nodes = [node("Einsum", operands, ["y"], "sum", equation=equation)]
    assert "equation" in refused(tmp_path, nodes, dict.fromkeys(operands, (4, 4)))
