"""Numbers at the borders of float32, infinities, scalars and very many parts: both kernels agree."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.certificate import certify
from sim_compress.model import (
    Affine,
    AlongAxis,
    ImplicitModel,
    Input,
    LinearMap,
    Offset,
    Output,
    Pad,
    Reshape,
    Scale,
    Shape,
    Slice,
    StateBlock,
    Sum,
    Term,
    Transpose,
)
from sim_compress.runtime import Session
from tests.networks import weight

KERNELS = ("scipy", "numba")
# Fewer than half a vector, and more than one.
BATCHES = (1, 33)
RELU = Activation("relu")


def outputs(model: ImplicitModel, inputs: np.ndarray) -> list[np.ndarray]:
    """The first output of both kernels."""
    sessions = [Session(model, kernel=kernel, threads=1) for kernel in KERNELS]
    return [s.predict(dict.fromkeys([i.name for i in model.inputs], inputs))["y"] for s in sessions]


def one_term(maps: Sequence[LinearMap], shape: Shape, out: Shape, w: sparse.csr_array | None = None):
    """u -> y by one term."""
    affine = Affine(out, (Term("u", tuple(maps), w),))
    return ImplicitModel((Input("u", shape),), (), (Output("y", affine),))


def scalars(*values: float) -> tuple[Scale, ...]:
    return tuple(Scale(np.array(value)) for value in values)


@pytest.mark.parametrize("samples", BATCHES)
@pytest.mark.parametrize(
    ("maps", "value", "expected"),
    [
        (scalars(1e30, 1e30, 1e-30, 1e-30), 1.0, np.inf),
        (scalars(1e-30, 1e-30, 1e30, 1e30), 1.0, 0.0),
        ((Offset(np.array(3e38)), *scalars(10.0), Offset(np.array(-3e38))), 0.0, np.inf),
        ((AlongAxis(0, sparse.csr_array(1e30 * np.eye(2, dtype=np.float32))), *scalars(1e30)), 1.0, np.inf),
        (scalars(1e20, 1e-20), 3.0, 3.0),
    ],
    ids=["overflow", "underflow", "offset", "matrix", "within"],
)
def test_a_chain_gives_what_its_steps_give_one_by_one(
    maps: tuple[LinearMap, ...], value: float, expected: float, samples: int
) -> None:
    for y in outputs(one_term(maps, (2,), (2,)), np.full((samples, 2), value, np.float32)):
        np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize("samples", BATCHES)
def test_a_factor_that_would_make_a_weight_infinite_stays_beside_it(samples: int) -> None:
    large = sparse.csr_array(np.full((3, 2), 2e38, np.float32))
    for y in outputs(one_term(scalars(10.0), (2,), (3,), large), np.full((samples, 2), 0.01, np.float32)):
        np.testing.assert_allclose(y, 4e37, rtol=1e-6)


@pytest.mark.parametrize("samples", BATCHES)
def test_a_factor_that_would_make_a_weight_zero_stays_beside_it(samples: int) -> None:
    tiny = sparse.csr_array(np.full((3, 1), 1.4e-45, np.float32))
    log = StateBlock("log", Affine((1,), (Term("u"),)), Activation("log"))
    after = Affine((3,), (Term("log", scalars(0.1), tiny),))
    model = ImplicitModel((Input("u", (1,)),), (log,), (Output("y", after),))
    for y in outputs(model, np.zeros((samples, 1), np.float32)):
        assert np.isneginf(y).all()


@pytest.mark.parametrize("samples", BATCHES)
@pytest.mark.parametrize("density", [0.3, 0.8], ids=["sparse", "mostly dense"])
def test_an_infinite_state_reaches_only_the_rows_that_read_it(density: float, samples: int) -> None:
    rng = np.random.default_rng(0)
    dense = (rng.random((37, 6)) < density).astype(np.float32)
    dense[:, 2] = np.arange(37) % 3 == 0
    log = StateBlock("log", Affine((6,), (Term("u"),)), Activation("log"))
    after = Affine((37,), (Term("log", (), sparse.csr_array(dense)),))
    model = ImplicitModel((Input("u", (6,)),), (log,), (Output("y", after),))
    u = np.full((samples, 6), np.e, np.float32)
    u[:, 2] = 0
    expected = np.where(dense[:, 2] == 0, dense.sum(axis=1), -np.inf)
    for y in outputs(model, u):
        np.testing.assert_allclose(y, np.tile(expected, (samples, 1)), rtol=1e-6)


@pytest.mark.parametrize("samples", BATCHES)
def test_a_scalar_block_has_one_row(samples: int) -> None:
    w = sparse.csr_array(np.array([[1.0, -2.0, 3.0]], np.float32))
    block = StateBlock("x", Affine((), (Term("u", (), w),), np.array([0.5], np.float32)), RELU)
    padded = Affine(
        (),
        (
            Term(
                "x",
                (Pad((), ()), Transpose(())),
            ),
        ),
    )
    model = ImplicitModel((Input("u", (3,)),), (block,), (Output("y", padded),))
    for y in outputs(model, np.ones((samples, 3), np.float32)):
        np.testing.assert_array_equal(y, np.full(samples, 2.5, np.float32))


def test_a_scalar_block_may_read_itself() -> None:
    own = Term("x", (Reshape((1,)),), sparse.csr_array(np.array([[0.5]], np.float32)))
    block = StateBlock("x", Affine((), (Term("u"), own)), RELU)
    model = ImplicitModel((Input("u", ()),), (block,), (Output("y", Affine((), (Term("x"),))),))
    assert certify(model).bound == 0.5
    for y in outputs(model, np.ones(2, np.float32)):
        np.testing.assert_allclose(y, 2.0, rtol=1e-4)


def chained(blocks: int) -> ImplicitModel:
    """x -> relu -> relu -> ... -> y"""
    names = ["u", *(f"x{i}" for i in range(blocks))]
    made = tuple(StateBlock(n, Affine((2,), (Term(s),)), RELU) for s, n in pairwise(names))
    return ImplicitModel((Input("u", (2,)),), made, (Output("y", Affine((2,), (Term(names[-1]),))),))


def test_many_thousand_blocks_in_a_row_are_one_evaluation_each() -> None:
    model = chained(20_000)
    assert certify(model).kind == "acyclic"
    y = Session(model, kernel="scipy").predict({"u": np.array([[1.5, -1.0]], np.float32)})["y"]
    np.testing.assert_array_equal(y, [[1.5, 0.0]])


LONG = {
    "blocks": chained(2_000),
    "maps": one_term((Slice((1,), (2,), (-1,)), Transpose((0,))) * 5_000, (2,), (2,)),
    "constants": one_term((Offset(np.array(0.5)), Offset(np.array(-0.5))) * 1_000, (2,), (2,)),
    "terms": ImplicitModel(
        (Input("u", (2,)),), (), (Output("y", Affine((2,), (Term("u", scalars(1 / 1024)),) * 1_024)),)
    ),
    "inputs": ImplicitModel(
        tuple(Input(f"u{i}", (2,)) for i in range(2_000)),
        (),
        (Output("y", Affine((2,), (Term("u7"), Term("u1999"), Term("u0", scalars(-1.0))))),),
    ),
    "outputs": ImplicitModel(
        (Input("u", (2,)),),
        (),
        tuple(Output(f"y{i}" if i else "y", Affine((2,), (Term("u"),))) for i in range(2_000)),
    ),
}


@pytest.mark.parametrize("name", LONG)
def test_a_model_of_very_many_parts_is_evaluated(name: str) -> None:
    u = np.array([[0.25, 2.0]], np.float32)
    for y in outputs(LONG[name], u):
        np.testing.assert_allclose(y, u, rtol=1e-5)


def test_unused_numbers_of_a_wide_sum_cost_nothing() -> None:
    cut = (Pad((0,), (2**20,)), Slice((0,), (3,), (1,)), Sum((0,)), Reshape((1,)))
    for y in outputs(one_term(cut, (3,), (4,), weight(4, 1)), np.ones((1, 3), np.float32)):
        np.testing.assert_allclose(y, 3 * weight(4, 1).toarray().T, rtol=1e-6)
