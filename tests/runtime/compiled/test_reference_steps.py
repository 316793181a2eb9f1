"""Maps, phis and dtypes without an operation: the reference computes them between compiled blocks."""

import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.activations import KINDS, Activation, Kind
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
    StateBlock,
    Term,
    Transpose,
    chain_shape,
)
from sim_compress.model.maps import Array, picking
from sim_compress.runtime import Session, Tolerance
from tests.networks import bias, patches, weight
from tests.runtime.phi_models import every_phi, phi_model

# Sums of up to some hundred products in float32, in another order; relative to the largest output.
ROUNDING = 2e-5
RELU = Activation("relu")


@dataclass(frozen=True, eq=False)
class Along:
    """A matrix along one axis."""

    matrix: Array
    axis: int

    def apply(self, x: Array) -> Array:
        return np.moveaxis(np.tensordot(self.matrix, x, (1, self.axis)), 0, self.axis)

    def out_shape(self, shape: Shape) -> Shape:
        return (*shape[: self.axis], len(self.matrix), *shape[self.axis + 1 :])


@dataclass(frozen=True, eq=False)
class Row:
    """A row of a table for every integer from the first."""

    table: Array
    first: int = 0

    def apply(self, x: Array) -> Array:
        return np.moveaxis(self.table[x - self.first], -1, 0)

    def out_shape(self, shape: Shape) -> Shape:
        return (self.table.shape[1], *shape)


def _softmax(z: Array, _: Mapping[str, Any]) -> Array:
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=0)


UNKNOWN = {
    "test_softmax": Kind("softmax", _softmax, componentwise=False),
    "test_abs": Kind("abs", lambda z, _: abs(z)),
    "test_product": Kind(
        "product",
        lambda z, _: z[: len(z) // 2] * z[len(z) // 2 :],
        componentwise=False,
        state_shape=lambda shape, _: (shape[0] // 2, *shape[1:]),
    ),
}


@pytest.fixture(autouse=True, scope="module")
def unknown_phis():
    KINDS.update(UNKNOWN)
    yield
    for name in UNKNOWN:
        del KINDS[name]


def assert_kernels_agree(model: ImplicitModel, samples: int) -> None:
    rng = np.random.default_rng(samples)
    fed = {i.name: (5 * rng.random((samples, *i.shape))).astype(i.dtype) for i in model.inputs}
    tolerance = Tolerance(residual=1e-6)
    expected = Session(model, tolerance, kernel="scipy").predict(fed)
    found = Session(model, tolerance, kernel="numba", threads=1).predict(fed)
    for name, y in expected.items():
        scale = np.abs(y).max(initial=1e-3)
        np.testing.assert_allclose(found[name], y, rtol=0, atol=ROUNDING * scale)


def block(name: str, terms: list[Term], shape: Shape, phi: Activation, axis: int = 0) -> StateBlock:
    return StateBlock(name, Affine(shape, tuple(terms), bias(shape[axis]), axis), phi)


def model(inputs: list[Input], blocks: list[StateBlock]) -> ImplicitModel:
    """All states are outputs."""
    outputs = [Output(f"y of {b.name}", Affine(b.shape, (Term(b.name),))) for b in blocks]
    return ImplicitModel(tuple(inputs), tuple(blocks), tuple(outputs))


@st.composite
def chains(draw: st.DrawFn, shape: Shape) -> tuple[LinearMap, ...]:
    """A chain of maps with and without operations on (channels, rows, columns)."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    choices: dict[str, Callable[[Shape], LinearMap]] = {
        "along": lambda s: Along(rng.standard_normal((int(rng.integers(1, 5)), s[0])).astype(np.float32), 0),
        "across": lambda s: Along(rng.standard_normal((s[-1], s[-1])).astype(np.float32), len(s) - 1),
        "repeat": lambda s: picking(0, [*range(s[0]), 0, -1], s[0]),
        "interpolate": lambda s: AlongAxis(0, weight(s[0], s[0], 0.4)),
        "full": lambda s: AlongAxis(0, weight(s[0], 3 * s[0], 1.0).T.tocsr()),
        "transpose": lambda _: Transpose((0, 2, 1)),
        "factor": lambda _: Scale(np.array(0.5)),
        "scale": lambda s: Scale(rng.standard_normal((s[0], 1, 1))),
        "offset": lambda s: Offset(rng.standard_normal((s[0], 1, 1))),
        "pad": lambda _: Pad((1, 0, 0), (0, 0, 0)),
        "patches": lambda _: patches(3, 1, 1),
    }
    maps: list[LinearMap] = []
    for name in draw(st.lists(st.sampled_from(sorted(choices)), max_size=4)):
        maps.append(choices[name](chain_shape(maps, shape)))
    return tuple(maps)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "a"), every_phi())
def test_every_phi(name: str, a: dict[str, Any], weighted: bool):
    network, fed = phi_model(name, a, weighted=weighted)
    expected, found = (Session(network, kernel=k, threads=1)(fed) for k in ("scipy", "numba"))
    np.testing.assert_allclose(found, expected, rtol=ROUNDING, atol=ROUNDING)


PHIS = st.sampled_from([*UNKNOWN, "relu", "tanh"])


@st.composite
def image_networks(draw: st.DrawFn) -> ImplicitModel:
    """Blocks of images with random chains, phis, skip connections, then rows without positions."""
    size = draw(st.sampled_from([1, 4, 7]))
    inputs = [Input("u", (3, size, size), draw(st.sampled_from(["float32", "float64"])))]
    shapes: dict[str, Shape] = {"u": inputs[0].shape}
    blocks: list[StateBlock] = []
    for number in range(draw(st.integers(1, 4))):
        terms: list[Term] = []
        for source in draw(st.lists(st.sampled_from(sorted(shapes)), min_size=1, max_size=2)):
            maps = draw(chains(shapes[source]))
            k = chain_shape(maps, shapes[source])[0]
            terms.append(Term(source, maps, weight(4, k, 0.8, number)))
        if shapes.get(last := f"x{number - 1}") == (4, size, size) and draw(st.booleans()):
            terms.append(Term(last, (Along(np.eye(4, dtype=np.float32)[::-1], 0),)))
        blocks.append(block(f"x{number}", terms, (4, size, size), Activation(draw(PHIS))))
        shapes[f"x{number}"] = blocks[-1].shape
    k = int(np.prod(blocks[-1].shape))
    flat = [Term(blocks[-1].name, (Reshape((k,)),), weight(6, k)), *_flat_input(draw, size)]
    blocks.append(block("rows", flat, (6,), Activation(draw(PHIS))))
    return model(inputs, blocks)


def _flat_input(draw: st.DrawFn, size: int) -> list[Term]:
    maps = (Along(np.ones((2, size), np.float32), 2), Reshape((6 * size,)))
    return [Term("u", maps, weight(6, 6 * size, seed=1))] if draw(st.booleans()) else []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(network=image_networks(), samples=st.sampled_from([1, 3, 17]))
def test_kernels_agree_on_random_networks(network: ImplicitModel, samples: int):
    assert_kernels_agree(network, samples)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool", "float64", "float16"])
@pytest.mark.parametrize("size", [(), (6,), (4, 5)])
def test_inputs_of_other_dtypes(dtype: str, size: Shape):
    word = Input("word", size, dtype)
    table = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    maps: list[LinearMap] = [Row(table)] if np.dtype(dtype).kind in "iu" else [Reshape((1, *size))]
    channels = 8 if len(maps) == 1 and isinstance(maps[0], Row) else 1
    number = Input("number", size)
    terms = [
        Term("word", tuple(maps), weight(4, channels, 1.0)),
        Term("number", (Reshape((1, *size)),), weight(4, 1, 1.0, seed=1)),
    ]
    assert_kernels_agree(model([word, number], [block("x", terms, (4, *size), RELU)]), 3)


def test_large_integers_keep_all_their_digits():
    first = 2**24
    table = np.arange(4, dtype=np.float32)[:, None]
    words = block("x", [Term("word", (Row(table, first),), weight(2, 1, 1.0))], (2, 3), RELU)
    network = model([Input("word", (3,), "int64")], [words])
    fed = np.array([[first, first + 1, first + 3]])
    expected, found = (Session(network, kernel=k, threads=1)(fed) for k in ("scipy", "numba"))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert len(np.unique(expected[0, 0])) == 3


@pytest.mark.parametrize("samples", [1, 40])
def test_a_loop_through_maps_and_phis_without_operations(samples: int):
    A = weight(8, 8, 0.7)
    A.data *= np.float32(0.4) / abs(A).sum(axis=1).max()
    around = Term("x", (Along(0.3 * np.eye(8, dtype=np.float32)[::-1], 0),))
    terms = [Term("x", (), A), around, Term("u", (), weight(8, 3, 1.0, 1))]
    state = block("x", terms, (8, 2), Activation("test_softmax"))
    network = model([Input("u", (3, 2))], [state])
    assert_kernels_agree(network, samples)


def test_memory_of_the_reference_is_that_of_a_chunk():
    wide = block("x", [Term("u", (patches(3, 1, 1),), weight(64, 9))], (64, 16, 16), Activation("test_abs"))
    read_out = Affine((1,), (Term("x", (Reshape((64 * 256,)),), weight(1, 64 * 256)),))
    network = ImplicitModel((Input("u", (1, 16, 16)),), (wide,), (Output("y", read_out),))
    session = Session(network, kernel="numba", threads=1)
    fed = np.zeros((512, 1, 16, 16), np.float32)
    session(fed[:64])
    tracemalloc.start()
    session(fed)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # All states together are 32 MiB.
    assert peak < 8 * 2**20
