"""Rescaled states: the same outputs in other coordinates, any norm of A."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.certificate import layer_factors, norm_bound, substituted_scaling
from sim_compress.errors import CertificateError, InputError
from sim_compress.model import ImplicitModel, from_matrices, matrices, rescaled
from sim_compress.runtime import Session
from tests.networks import loop, residual_network

# Weights are rescaled in float32.
ROUNDING = 1e-5


def homogeneous_network() -> ImplicitModel:
    """The residual network with every phi positively homogeneous."""
    model = residual_network()
    last = replace(model.blocks[3], phi=Activation("leaky_relu", {"slope": 0.1}))
    return replace(model, blocks=(*model.blocks[:3], last))


def images() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32)


def assert_same_outputs(model: ImplicitModel, other: ImplicitModel) -> None:
    ours, theirs = Session(model).predict(images()), Session(other).predict(images())
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=ROUNDING, atol=ROUNDING * np.abs(values).max())


def test_any_factors_leave_the_outputs_as_they_are():
    model = homogeneous_network()
    factors = {"stem": 0.5, "block": 20.0, "pooled": 3.0, "tokens": 0.01}
    assert_same_outputs(rescaled(model, factors), model)


@pytest.mark.parametrize("kappa", [0.9, 0.2])
def test_factors_from_the_scaling_bring_the_norm_of_A_to_kappa(kappa):
    model = homogeneous_network()
    s = {n: 1 / float(v.min()) for n, v in substituted_scaling(model, kappa).items()}
    small = rescaled(model, s)
    ones = {b.name: np.ones(b.shape) for b in small.blocks}
    assert norm_bound(small, ones) <= kappa * (1 + ROUNDING)
    assert_same_outputs(small, model)


def test_layer_factors_divide_the_norm_and_leave_the_outputs_as_they_are():
    model = homogeneous_network()
    ones = {b.name: np.ones(b.shape) for b in model.blocks}
    small = rescaled(model, layer_factors(model, 2.0))
    assert norm_bound(small, ones) <= 0.5 * (1 + ROUNDING)
    assert_same_outputs(small, model)


def test_layer_factors_need_an_acyclic_model():
    with pytest.raises(CertificateError, match="acyclic"):
        layer_factors(loop(), 2.0)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"nowhere": 2.0}, "no such block"),
        ({"stem": 0.0}, "positive"),
        ({"stem": float("nan")}, "positive"),
        ({"tokens": 2.0}, "tanh is not homogeneous"),
    ],
)
def test_factors_that_would_change_the_outputs_are_refused(factors, message):
    with pytest.raises(InputError, match=message):
        rescaled(residual_network(), factors)


def test_given_matrices_make_a_model_that_unrolls_to_them():
    rng = np.random.default_rng(0)
    a, b, c, d = (rng.standard_normal(s).astype(np.float32) for s in ((4, 4), (4, 3), (2, 4), (2, 3)))
    bias, output_bias = rng.standard_normal(4), rng.standard_normal(2)
    model = from_matrices(a, b, c, d, Activation("tanh"), bias=bias, output_bias=output_bias)
    A, B, C, D = (M.toarray() for M in matrices(model))
    np.testing.assert_array_equal(A, a)
    np.testing.assert_allclose(B, np.column_stack([b, bias]), rtol=ROUNDING)
    np.testing.assert_array_equal(C, c)
    np.testing.assert_allclose(D, np.column_stack([d, output_bias]), rtol=ROUNDING)


def test_matrices_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match=r"expected A \(n, n\)"):
        from_matrices(np.eye(3), np.eye(3), np.eye(2), np.eye(3), Activation("relu"))
