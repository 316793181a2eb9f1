"""Matrix products with the samples at every place of either side."""

import numpy as np
import pytest

from sim_compress.frontend.axes import Placed
from tests.frontend.axes.oracle import assert_placed, every_place, question, refusal
from tests.frontend.graphs import node, random

PLACES = every_place(2, 3, 4)


@pytest.mark.parametrize("x", [*PLACES, *every_place(3, 4), *every_place(4)], ids=str)
def test_a_constant_matrix_multiplies_from_either_side(x: Placed) -> None:
    rank = len(x.shape)
    if rank > 0:
        asked = question([node("MatMul", ["x", "w"], ["y"])], {"x": x}, {"w": random(x.shape[-1], 5)})
        if x.batch == rank - 1:
            assert refusal(asked) == f"sums over axis {x.batch} of {x}, the batch axis"
        else:
            assert assert_placed(asked).tensors["y"].batch == x.batch
    if rank > 1:
        asked = question([node("MatMul", ["w", "x"], ["y"])], {"x": x}, {"w": random(5, x.shape[-2])})
        if x.batch == rank - 2:
            assert refusal(asked) == f"sums over axis {x.batch} of {x}, the batch axis"
        else:
            assert assert_placed(asked).tensors["y"].batch == x.batch


@pytest.mark.parametrize("x", PLACES, ids=str)
def test_a_constant_vector_multiplies_from_the_right(x: Placed) -> None:
    asked = question([node("MatMul", ["x", "w"], ["y"])], {"x": x}, {"w": random(x.shape[-1])})
    if x.batch == len(x.shape) - 1:
        assert "sums over axis" in refusal(asked)
    else:
        assert assert_placed(asked).tensors["y"].batch == x.batch


STACKS = {
    "as many": ((1, 2, 3, 4), 0, (2, 4, 5)),
    "behind one more": ((1, 2, 3, 4), 0, (1, 2, 4, 5)),
    "repeated for each": ((1, 2, 3, 4), 0, (2, 1, 2, 4, 5)),
    "that repeat": ((1, 1, 3, 4), 0, (2, 4, 5)),
    "beside merged heads": ((6, 3, 4), 0, (1, 4, 5)),
    "behind samples in the middle": ((2, 1, 3, 4), 1, (2, 1, 4, 5)),
    "with samples as rows": ((2, 1, 4), 1, (2, 4, 5)),
}


@pytest.mark.parametrize(("shape", "batch", "weight"), STACKS.values(), ids=STACKS)
def test_stacks_of_constant_matrices(shape: tuple, batch: int, weight: tuple) -> None:
    asked = question([node("MatMul", ["x", "w"], ["y"])], {"x": Placed(shape, batch)}, {"w": random(*weight)})
    assert_placed(asked)
    turned = tuple(random(*weight).swapaxes(-1, -2).shape)
    if batch == 0:
        nodes = [
            node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2][: len(shape)] if len(shape) == 4 else [0, 2, 1])
        ]
        nodes.append(node("MatMul", ["w", "t"], ["y"]))
        assert_placed(question(nodes, {"x": Placed(shape, batch)}, {"w": random(*turned)}))


ACTIVATIONS = {
    "samples in front": (Placed((1, 3, 4), 0), Placed((1, 4, 5), 0)),
    "heads apart": (Placed((1, 2, 3, 4), 0), Placed((1, 2, 4, 5), 0)),
    "heads merged": (Placed((6, 3, 4), 0), Placed((6, 4, 5), 0)),
    "heads before samples merged": (Placed((6, 3, 4), 0, 6), Placed((6, 4, 5), 0, 6)),
    "samples behind heads": (Placed((2, 1, 3, 4), 1), Placed((2, 1, 4, 5), 1)),
    "a vector for each": (Placed((1, 1, 4), 0), Placed((1, 4, 5), 0)),
    "heads that repeat": (Placed((1, 1, 3, 4), 0), Placed((1, 6, 4, 5), 0)),
    "one matrix of ranks that differ": (Placed((1, 2, 3, 4), 0), Placed((1, 1, 4, 5), 0)),
}


@pytest.mark.parametrize(("x", "u"), ACTIVATIONS.values(), ids=ACTIVATIONS)
def test_two_activations(x: Placed, u: Placed) -> None:
    found = assert_placed(question([node("MatMul", ["x", "u"], ["y"])], {"x": x, "u": u}))
    assert found.tensors["y"].batch == max(x.batch or 0, u.batch or 0)


MIXED = {
    "multiplies the batch axis of [N, 4] with that of [4, N]": (Placed((1, 4), 0), Placed((4, 1), 1)),
    "sums over axis 1 of [4, N], the batch axis": (Placed((4, 1), 1), Placed((1, 4), 0)),
    "multiplies the batch axis of [N, 4] with that of [N, 4, 5]": (Placed((1, 4), 0), Placed((1, 4, 5), 0)),
    "its inputs have the batch axis in two places": (Placed((2, 1, 3, 4), 1), Placed((1, 2, 4, 5), 0)),
}


@pytest.mark.parametrize(("reason", "places"), MIXED.items(), ids=MIXED)
def test_products_of_samples_with_samples_are_refused(reason: str, places: tuple[Placed, Placed]) -> None:
    asked = question([node("MatMul", ["x", "u"], ["y"])], dict(zip("xu", places, strict=True)))
    assert reason in refusal(asked)


def test_factors_that_do_not_fit_are_refused() -> None:
    asked = question([node("MatMul", ["x", "w"], ["y"])], {"x": Placed((1, 4), 0)}, {"w": random(5, 3)})
    assert refusal(asked) == "multiplies [N, 4] by [5, 3], which do not fit"


BIASES = {
    "none": None,
    "a row": (5,),
    "one row": (1, 5),
    "a number": (),
    "one number": (1,),
    "a column": (5, 1),
}


@pytest.mark.parametrize("bias", [b for name, b in BIASES.items() if name != "a column"], ids=str)
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("x", [Placed((1, 4), 0), Placed((3, 4), 0, 3), Placed((6, 4), 0, 2)], ids=str)
def test_a_gemm_with_samples_in_rows(x: Placed, turned: int, bias: tuple[int, ...] | None) -> None:
    constants = {"w": random(5, 4) if turned else random(4, 5)}
    if bias is not None:
        constants["c"] = np.asarray(random(*bias))
    nodes = [node("Gemm", ["x", *constants], ["y"], transB=turned, alpha=0.5, beta=2.0)]
    assert str(assert_placed(question(nodes, {"x": x}, constants)).tensors["y"]) == str(x).replace("4]", "5]")


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
@pytest.mark.parametrize("x", [Placed((4, 1), 1), Placed((4, 3), 1), Placed((4, 6), 1, 2)], ids=str)
def test_a_gemm_with_samples_in_columns(x: Placed, bias: tuple[int, ...] | None) -> None:
    """The constant stands on the left; a bias along the samples is refused."""
    constants = {"w": random(5, 4)}
    if bias is not None:
        constants["c"] = np.asarray(random(*bias))
    asked = question([node("Gemm", ["w", "x", *list(constants)[1:]], ["y"], beta=0.5)], {"x": x}, constants)
    if bias in ((5,), (1, 5)):
        assert "the batch axis" in refusal(asked)
    else:
        assert assert_placed(asked).tensors["y"].shape == (5, x.shape[1])


@pytest.mark.parametrize("turned", [(1, 0), (1, 1)], ids=str)
def test_a_gemm_turns_its_activation(turned: tuple[int, int]) -> None:
    weight = random(5, 4) if turned[1] else random(4, 5)
    nodes = [node("Gemm", ["x", "w", "c"], ["y"], transA=1, transB=turned[1])]
    for x in (Placed((4, 1), 1), Placed((4, 3), 1)):
        assert_placed(question(nodes, {"x": x}, {"w": weight, "c": random(5)}))


def test_a_gemm_adds_an_activation() -> None:
    nodes = [node("Gemm", ["x", "w", "u"], ["y"], beta=0.5)]
    inputs = {"x": Placed((1, 4), 0), "u": Placed((1, 5), 0)}
    assert_placed(question(nodes, inputs, {"w": random(4, 5)}))
    inputs["u"] = Placed((5, 1), 1)
    assert "two places" in refusal(question(nodes, inputs, {"w": random(4, 5)}))


EINSUMS = {
    "a projection": ("nte,ef->ntf", Placed((1, 3, 4), 0), (4, 5)),
    "heads": ("tne,ehd->nhtd", Placed((3, 1, 4), 1), (4, 2, 5)),
    "dots": ("...e,fe->...f", Placed((2, 3, 4), 1), (5, 4)),
    "a scale": ("nte,e->net", Placed((1, 3, 4), 0), (4,)),
    "a sum": ("tne,e->nt", Placed((3, 1, 4), 1), (4,)),
    "merged": ("ntx,xy->nty", Placed((6, 3, 4), 0, 2), (4, 5)),
}


@pytest.mark.parametrize(("equation", "x", "weight"), EINSUMS.values(), ids=EINSUMS)
def test_einsums_with_a_constant(equation: str, x: Placed, weight: tuple[int, ...]) -> None:
    nodes = [node("Einsum", ["x", "w"], ["y"], equation=equation)]
    assert_placed(question(nodes, {"x": x}, {"w": random(*weight)}))


PAIRS = {
    "scores": ("nihd,njhd->nhij", Placed((1, 3, 2, 4), 0), Placed((1, 3, 2, 4), 0)),
    "time first": ("inhd,jnhd->nhij", Placed((3, 1, 2, 4), 1), Placed((3, 1, 2, 4), 1)),
    "values": ("nhij,njhd->nihd", Placed((1, 2, 3, 3), 0), Placed((1, 3, 2, 4), 0)),
    "merged": ("aij,ajk->aik", Placed((6, 3, 4), 0), Placed((6, 4, 3), 0)),
}


@pytest.mark.parametrize(("equation", "x", "u"), PAIRS.values(), ids=PAIRS)
def test_einsums_of_two_activations(equation: str, x: Placed, u: Placed) -> None:
    assert_placed(question([node("Einsum", ["x", "u"], ["y"], equation=equation)], {"x": x, "u": u}))


MIXED_EINSUMS = {
    "sums over the batch axis": ("nte,nfe->tf", Placed((1, 3, 4), 0), Placed((1, 3, 4), 0)),
    "has the batch axis under two letters": ("nte,mte->nm", Placed((1, 3, 4), 0), Placed((1, 3, 4), 0)),
}


@pytest.mark.parametrize(("reason", "case"), MIXED_EINSUMS.items(), ids=MIXED_EINSUMS)
def test_einsums_that_mix_samples_are_refused(reason: str, case: tuple) -> None:
    equation, x, u = case
    asked = question([node("Einsum", ["x", "u"], ["y"], equation=equation)], {"x": x, "u": u})
    assert refusal(asked) == f"its equation {equation!r} {reason}"
