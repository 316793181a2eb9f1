"""Compiled functions of one entry against float64."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import special

from sim_compress.activations import Activation
from sim_compress.model import Affine, ImplicitModel, Input, Output, StateBlock, Term
from sim_compress.runtime import Session
from sim_compress.runtime.compiled.code.elementwise_code import KINDS
from sim_compress.runtime.compiled.code.vectors import TILE, WIDTH
from sim_compress.runtime.compiled.program.lowering import Lowering
from sim_compress.runtime.compiled.program.steps import Operations

ULP = 2.0**-23
RELATIVE = 1e-6
TINY = 2.0**-126
EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "gelu": lambda z: z / 2 * special.erfc(-z / np.sqrt(2)),
    "gelu_tanh": lambda z: z * special.expit(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)),
    "swish": lambda z: z * special.expit(1.5 * z),
    "sigmoid": special.expit,
    "tanh": np.tanh,
    "erf": special.erf,
    "exp": np.exp,
    "softplus": lambda z: np.logaddexp(z, 0),
    "mish": lambda z: z * np.tanh(np.logaddexp(z, 0)),
    "elu": lambda z: np.where(z > 0, z, 0.7 * np.expm1(np.minimum(z, 0))),
    "selu": lambda z: 1.1 * np.where(z > 0, z, 1.6 * np.expm1(np.minimum(z, 0))),
    "leaky_relu": lambda z: np.where(z > 0, z, -1.5 * z),
    "softsign": lambda z: z / (1 + abs(z)),
    "square": np.square,
    "abs": np.abs,
    "nonzero": lambda z: (z != 0).astype(float),
    "not": lambda z: (z == 0).astype(float),
    "sqrt": np.sqrt,
    "reciprocal": lambda z: 1 / z,
}
ATTRIBUTES: dict[str, dict[str, float]] = {
    "swish": {"alpha": 1.5},
    "elu": {"alpha": 0.7},
    "selu": {"alpha": 1.6, "gamma": 1.1},
    "leaky_relu": {"slope": -1.5},
}


def network(name: str, size: int) -> ImplicitModel:
    block = StateBlock("x", Affine((size,), (Term("u"),)), Activation(name, ATTRIBUTES.get(name, {})))
    return ImplicitModel((Input("u", (size,)),), (block,), (Output("y", Affine((size,), (Term("x"),))),))


def points(name: str) -> np.ndarray:
    """Small and large numbers of both signs, where the function is not 0 or infinite beyond float32."""
    size = np.geomspace(1e-6, {"exp": 87, "gelu_tanh": 5, "gelu": 7}.get(name, 15), 500)
    z = np.concatenate([-size, size])
    return (abs(z) if name in ("sqrt",) else z).astype(np.float32)


def test_every_compiled_function_is_tested():
    assert set(KINDS) == set(EXACT)


@pytest.mark.parametrize("name", KINDS)
def test_a_function_is_exact_to_rounding(name):
    z = points(name)
    model = network(name, len(z))
    program = Lowering(model, WIDTH, TILE).program(1)
    assert all(isinstance(step, Operations) for step in program.steps)
    found = Session(model, kernel="numba", threads=1)(z[None])[0].astype(np.float64)
    exact = EXACT[name](z.astype(np.float64))
    allowed = 2 * ULP if name == "exp" else RELATIVE
    error = abs(found - exact) / np.maximum(abs(exact), TINY)
    # The argument of a cube or of a multiple is rounded before it is a power: GELU's tanh form and swish.
    grows = {"gelu_tanh": 4 * abs(z) ** 3, "swish": 1.5 * abs(z), "gelu": z * z / 2}.get(name, 0 * z)
    assert (error <= allowed + ULP * grows).all(), (z[error.argmax()], error.max())


@pytest.mark.parametrize("name", KINDS)
def test_what_is_not_finite_is_as_in_the_reference(name):
    z = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 3e38, -3e38, 100.0, -100.0, 1e-40]], np.float32)
    model = network(name, z.shape[1])
    expected, found = (Session(model, kernel=k, threads=1)(z) for k in ("scipy", "numba"))
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    there = ~np.isnan(expected)
    np.testing.assert_allclose(found[there], expected[there], rtol=2e-6, atol=1e-37)
