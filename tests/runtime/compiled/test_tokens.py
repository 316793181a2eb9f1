"""Tokens as lanes: sparse rows, attention, softmax and norms give what the reference gives, without numpy."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.model import (
    Affine,
    AlongAxis,
    ImplicitModel,
    Input,
    LinearMap,
    Lookup,
    Offset,
    Output,
    Pad,
    Reshape,
    Scale,
    Slice,
    StateBlock,
    Term,
    Transpose,
    weight_shape,
)
from sim_compress.runtime import Session, Tolerance, numpy_blocks
from sim_compress.runtime.compiled.code.entrywise_code import KINDS as ENTRYWISE
from sim_compress.runtime.compiled.code.vectors import TILE, WIDTH
from sim_compress.runtime.compiled.evaluator import CompiledEvaluator
from sim_compress.runtime.compiled.program.lowering import Lowering
from sim_compress.runtime.compiled.program.steps import Operations

# Sums of some hundred products in float32, in another order; relative to the largest output.
ROUNDING = 2e-5
FEW = settings(max_examples=25, deadline=None)
FIRST: tuple[LinearMap, ...] = (Transpose((1, 0)),)
IDENTITY = Activation("identity")


def agree(model: ImplicitModel, *batches: int) -> None:
    """Both kernels give the same, alone and with two threads, which have the same bits."""
    reference = Session(model, kernel="scipy")
    sessions = [Session(model, kernel="numba", threads=threads) for threads in (1, 2)]
    for samples in batches:
        rng = np.random.default_rng(samples)
        fed = {i.name: rng.standard_normal((samples, *i.shape)).astype(np.float32) for i in model.inputs}
        expected, alone, together = (s.predict(fed) for s in (reference, *sessions))
        for name, y in expected.items():
            atol = ROUNDING * np.abs(y).max(initial=1e-3)
            np.testing.assert_allclose(alone[name], y, rtol=0, atol=atol)
            np.testing.assert_array_equal(alone[name], together[name])


def without_numpy(model: ImplicitModel, samples: int) -> bool:
    """Whether every step of a program is compiled."""
    program = Lowering(model, WIDTH, TILE).program(samples)
    return all(isinstance(step, Operations) for step in program.steps)


def rows(n: int, k: int, density: float, seed: int = 0) -> sparse.csr_array:
    """A sparse weight; its first row is empty, and one entry is stored as zero."""
    rng = np.random.default_rng(seed)
    dense = rng.standard_normal((n, k)) * (rng.random((n, k)) < density)
    dense[0] = 0
    weight = sparse.csr_array(dense.astype(np.float32))
    if weight.nnz:
        weight.data[0] = 0
    return weight


def tokens(count: int, features: int, name: str = "u") -> Input:
    return Input(name, (count, features))


def rows_of(source: str, weight: sparse.csr_array, count: int, *, bias: bool = True) -> Affine:
    height, _ = weight_shape(weight)
    own = np.linspace(0, 1, height, dtype=np.float32) if bias else None
    return Affine((count, height), (Term(source, FIRST, weight),), own, row_axis=1)


@FEW
@given(
    st.integers(1, 150),
    st.integers(1, 130),
    st.integers(1, 30),
    st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    st.sampled_from(["identity", "relu", "gelu", "tanh"]),
)
def test_sparse_rows_of_any_shape(count: int, features: int, n: int, density: float, phi: str) -> None:
    first = StateBlock("x", rows_of("u", rows(n, features, density), count), Activation(phi))
    second = rows_of("x", rows(7, n, 0.5, seed=1), count)
    skip = Affine((count, n), (Term("x"), Term("x", FIRST, rows(n, n, 0.2, seed=2))), row_axis=1)
    model = ImplicitModel((tokens(count, features),), (first,), (Output("y", second), Output("z", skip)))
    agree(model, 1, 2, WIDTH + 1)


@pytest.mark.parametrize("count", [2, 5, 40, 64, 197])
def test_no_step_of_a_tokenwise_network_is_numpy(count: int) -> None:
    block = StateBlock("x", rows_of("u", rows(24, 16, 0.4), count), Activation("gelu"))
    norm = Affine((count, 24), (Term("x"),), row_axis=1)
    normed = StateBlock("n", norm, Activation("layer_norm", {"axes": (1,), "epsilon": 1e-5}))
    gain, shift = np.linspace(0.5, 2, 24, dtype=np.float32), np.linspace(-1, 1, 24, dtype=np.float32)
    after = Affine(
        (count, 8), (Term("n", (Scale(gain), Offset(shift), *FIRST), rows(8, 24, 0.5)),), row_axis=1
    )
    model = ImplicitModel((tokens(count, 16),), (block, normed), (Output("y", after),))
    assert without_numpy(model, 1)
    agree(model, 1, 3)


def attention(count: int, heads: int, width: int, *, scaled: str = "scores") -> ImplicitModel:
    """Queries, keys and values of tokens, their softmax, and the weighted values."""
    features = heads * width
    parts = [
        StateBlock(n, rows_of("u", rows(features, 12, 0.6, i), count), IDENTITY) for i, n in enumerate("qkv")
    ]
    factor = Scale(np.array(width**-0.5, np.float32))
    size = count * features
    apart = Reshape((count, heads, width))
    ahead, behind = Pad((0,), (size,)), Pad((size,), (0,))
    own = (factor,) if scaled == "queries" else ()
    scores = StateBlock(
        "s",
        Affine(
            (2 * size,),
            (
                Term("q", (*own, apart, Transpose((1, 0, 2)), Reshape((size,)), ahead)),
                Term("k", (apart, Transpose((1, 2, 0)), Reshape((size,)), behind)),
            ),
        ),
        Activation("matmul", {"parts": ((heads, count, width), (heads, width, count))}),
    )
    square = heads * count * count
    own = (factor,) if scaled == "scores" else ()
    chosen = StateBlock(
        "p", Affine((heads, count, count), (Term("s", own),)), Activation("softmax", {"axes": (2,)})
    )
    values = StateBlock(
        "a",
        Affine(
            (square + size,),
            (
                Term("p", (Reshape((square,)), Pad((0,), (size,)))),
                Term("v", (apart, Transpose((1, 0, 2)), Reshape((size,)), Pad((square,), (0,)))),
            ),
        ),
        Activation("matmul", {"parts": ((heads, count, count), (heads, count, width))}),
    )
    together = (Transpose((1, 0, 2)), Reshape((count, features)), *FIRST)
    out = Affine((count, 9), (Term("a", together, rows(9, features, 0.5, 4)),), row_axis=1)
    return ImplicitModel((tokens(count, 12),), (*parts, scores, chosen, values), (Output("y", out),))


@FEW
@given(st.integers(1, 70), st.integers(1, 3), st.integers(1, 9), st.sampled_from(["scores", "queries"]))
def test_attention_of_any_shape(count: int, heads: int, width: int, scaled: str) -> None:
    agree(attention(count, heads, width, scaled=scaled), 1, 3, WIDTH)


@pytest.mark.parametrize("count", [2, 5, 64, 130])
def test_no_step_of_attention_is_numpy(count: int) -> None:
    model = attention(count, 2, 8)
    assert without_numpy(model, 1)
    assert without_numpy(model, WIDTH)
    agree(model, 1, 2 * WIDTH + 1)


@FEW
@given(
    st.integers(1, 40),
    st.integers(1, 40),
    # What rounding does to an exponential grows with its argument.
    st.sampled_from([("softmax", 1.0), ("softmax", 30.0), ("layer_norm", 1e3), ("rms_norm", 1e-3)]),
)
def test_norms_of_channels(count: int, features: int, asked: tuple[str, float]) -> None:
    name, size = asked
    attributes = {"axes": (1,)} | ({} if name == "softmax" else {"epsilon": 1e-5})
    weight = rows(features, 12, 0.6)
    weight.data *= np.float32(size)
    block = StateBlock("x", rows_of("u", weight, count), Activation(name, attributes))
    out = Affine((count, features), (Term("x"),), row_axis=1)
    agree(ImplicitModel((tokens(count, 12),), (block,), (Output("y", out),)), 1, 2, WIDTH)


def test_positions_added_once_for_all_readers() -> None:
    count, features = 6, 10
    table = np.random.default_rng(0).standard_normal((count, features)).astype(np.float32)
    block = StateBlock("x", rows_of("u", rows(features, 12, 0.6), count), IDENTITY)
    start: tuple[LinearMap, ...] = (Offset(table),)
    readers = [
        Output(n, Affine((count, 5), (Term("x", (*start, *FIRST), rows(5, features, 0.5, i)),), row_axis=1))
        for i, n in enumerate("ab")
    ]
    model = ImplicitModel((tokens(count, 12),), (block,), tuple(readers))
    agree(model, 1, 2, WIDTH)


def test_infinities_and_nan_come_out_as_the_reference_has_them() -> None:
    count = 9
    block = StateBlock(
        "x", rows_of("u", rows(6, 4, 0.7), count, bias=False), Activation("softmax", {"axes": (1,)})
    )
    out = Affine((count, 6), (Term("x"),), row_axis=1)
    model = ImplicitModel((tokens(count, 4),), (block,), (Output("y", out),))
    u = np.random.default_rng(0).standard_normal((2, count, 4)).astype(np.float32)
    u[0, 3, 1], u[1, 5, 2], u[1, 7, 0] = np.nan, np.inf, 3e38
    expected, found = (Session(model, kernel=k, threads=1)(u) for k in ("scipy", "numba"))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    there = ~np.isnan(expected)
    np.testing.assert_allclose(found[there], expected[there], atol=1e-6)


def test_batch_sizes_in_turn_share_a_few_programs() -> None:
    block = StateBlock("x", Affine((20,), (Term("u", (), rows(20, 16, 0.5)),)), Activation("relu"))
    out = Affine((3,), (Term("x", (), rows(3, 20, 0.5)),))
    model = ImplicitModel((Input("u", (16,)),), (block,), (Output("y", out),))
    made: list[int] = []
    evaluator = CompiledEvaluator(model, Tolerance(), threads=1)
    for samples in range(1, evaluator._sizes.chunk + 1):
        made.append(evaluator._sizes.program(samples))
        assert made[-1] >= samples
    assert len(set(made)) <= WIDTH // 2 + 9
    agree(model, *range(1, 40, 3))


@pytest.mark.parametrize("count", [1, 5, 40])
def test_tokens_of_a_table_with_positions_and_a_mask(count: int) -> None:
    """Ids below 0 count from the end; what is masked has no weight in any softmax."""
    features, rng = 16, np.random.default_rng(0)
    table = rng.standard_normal((11, features)).astype(np.float32)
    positions = rng.standard_normal((count, features)).astype(np.float32)
    ids = StateBlock("e", Affine((count, features), (Term("ids", (Lookup(table),)),)), IDENTITY)
    summed = Affine((count, features), (Term("e", (Offset(positions),)),))
    norm = StateBlock("n", summed, Activation("layer_norm", {"axes": (1,), "epsilon": 1e-12}))
    scores = StateBlock("s", rows_of("n", rows(count, features, 0.6), count), IDENTITY)
    # The same row of the mask for every token.
    down = sparse.csr_array(np.ones((count, 1), np.float32))
    masked = (
        Term("s"),
        Term("mask", (Reshape((1, count)), AlongAxis(0, down), Scale(np.array(-1e4, np.float32)))),
    )
    weights = StateBlock("p", Affine((count, count), masked), Activation("softmax", {"axes": (1,)}))
    out = Affine((count, 3), (Term("p", FIRST, rows(3, count, 0.9)),), row_axis=1)
    model = ImplicitModel(
        (Input("ids", (count,), "int64"), Input("mask", (count,))),
        (ids, norm, scores, weights),
        (Output("y", out), Output("x", Affine((count, features), (Term("n"),)))),
    )
    for samples in (1, 3, WIDTH):
        fed = {
            "ids": rng.integers(-11, 11, (samples, count)),
            "mask": rng.integers(0, 2, (samples, count)).astype(np.float32),
        }
        expected, found = (Session(model, kernel=k, threads=1).predict(fed) for k in ("scipy", "numba"))
        for name, y in expected.items():
            np.testing.assert_allclose(found[name], y, rtol=0, atol=ROUNDING * np.abs(y).max())


def test_a_profile_names_every_block_and_what_numpy_does() -> None:
    scores = StateBlock("x", rows_of("u", rows(6, 4, 0.7), 9), IDENTITY)
    angles = StateBlock("c", Affine((9, 6), (Term("x"),)), Activation("cos"))
    out = Affine((9, 6), (Term("c"),))
    model = ImplicitModel((tokens(9, 4),), (scores, angles), (Output("y", out),))
    assert numpy_blocks(model) == ("c",)
    steps = Session(model, kernel="numba", threads=1).profile(np.ones((2, 9, 4), np.float32), rounds=2)
    assert [step.name for step in steps if step.by_numpy] == ["c"]
    assert {"inputs", "x", "c", "y", "outputs"} <= {step.name for step in steps}
    assert all(step.seconds > 0 for step in steps)
    (whole,) = Session(model, kernel="scipy").profile(np.ones((2, 9, 4), np.float32), rounds=2)
    assert whole.by_numpy


@pytest.mark.parametrize(
    ("name", "three"),
    [*((n, n == "where") for n in ENTRYWISE), ("maximum", True), ("minimum", True)],
)
def test_phi_of_several_values_entry_by_entry(name: str, three: bool) -> None:
    """Values, one entry for all, constants, and a truth value of whole numbers; NaN as in the reference."""
    shape, size = (4, 6), 24
    mask = StateBlock("m", Affine((6,), (Term("mask"),)), Activation("nonzero"))
    x = StateBlock("x", Affine(shape, (Term("u"),)), IDENTITY)
    parts = [shape, (1, 6), ()] if three else [shape, (1, 6)]
    whole = size + 6 + three
    terms = [
        Term("x", (Reshape((size,)), Pad((0,), (whole - size,)))),
        Term("m", (Pad((size,), (int(three),)),)),
    ]
    if three:
        one = Slice((0,), (1,), (1,))
        constant = (one, Pad((1,), (0,)), one, Offset(np.full(1, -7.0, np.float32)), Pad((30,), (0,)))
        terms.append(Term("m", constant))
    both = StateBlock("b", Affine((whole,), tuple(terms)), Activation(name, {"parts": tuple(parts)}))
    out = Output("y", Affine(shape, (Term("b"),)))
    inputs = (Input("u", shape), Input("mask", (6,), "int64"))
    model = ImplicitModel(inputs, (mask, x, both), (out,))
    assert numpy_blocks(model) == ()
    rng = np.random.default_rng(0)
    for samples in (1, 3, WIDTH + 1):
        u = rng.integers(-1, 2, (samples, *shape)).astype(np.float32)
        u[0, 0, 0] = np.nan
        fed = {"u": u, "mask": rng.integers(0, 2, (samples, 6)) << 40}
        expected, found = (Session(model, kernel=k, threads=1).predict(fed)["y"] for k in ("scipy", "numba"))
        np.testing.assert_array_equal(found, expected)
