"""Certificates: given where a proof exists, refused where not, recomputed from the values."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.certificate import (
    Certificate,
    absolute_rows,
    certify,
    norm_bound,
    row_bounds,
    row_scaling,
    substituted_scaling,
    verify,
)
from sim_compress.errors import CertificateError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Pad, StateBlock, Term, matrices
from tests.networks import bias, loop, residual_network, weight


def test_a_feed_forward_model_is_certified_by_its_order():
    certificate = certify(residual_network())
    assert (certificate.kind, certificate.bound) == ("acyclic", 0.0)
    verify(residual_network(), certificate)


def test_a_loop_is_certified_by_its_norm():
    certificate = certify(loop(0.5))
    assert certificate.kind == "norm"
    assert certificate.bound == pytest.approx(0.5, rel=1e-5)
    verify(loop(0.5), certificate)


def test_a_loop_with_a_norm_above_one_has_no_certificate():
    with pytest.raises(CertificateError, match="Perron root"):
        certify(loop(5.0))


def test_a_loop_with_a_perron_root_below_one_is_certified_by_its_vector():
    model = loop(1.5)
    A = np.abs(matrices(model).A.toarray())
    certificate = certify(model)
    assert certificate.kind == "perron"
    assert np.abs(np.linalg.eigvals(A)).max() <= certificate.bound < 1
    verify(model, certificate)


def test_the_norm_bound_is_the_weighted_inf_norm_of_the_unrolled_A():
    model = residual_network()
    model = replace(model, blocks=model.blocks[:2], outputs=())
    s = {b.name: np.random.default_rng(0).uniform(0.5, 2, b.shape) for b in model.blocks}
    stacked = np.concatenate([v.ravel() for v in s.values()])
    A = matrices(model).A
    assert norm_bound(model, s) == pytest.approx((abs(A) @ stacked / stacked).max(), rel=1e-6)


@pytest.mark.parametrize("kappa", [0.99, 0.5])
def test_backward_substitution_scales_a_feed_forward_model_to_kappa(kappa):
    model = residual_network()
    scaling = substituted_scaling(model, kappa)
    assert norm_bound(model, scaling) <= kappa * (1 + 1e-12)
    verify(model, Certificate("norm", kappa, scaling=scaling))


def test_backward_substitution_needs_a_feed_forward_model():
    with pytest.raises(CertificateError, match="acyclic"):
        substituted_scaling(loop(), 0.9)


@pytest.mark.parametrize(
    ("certificate", "message"),
    [
        (Certificate("acyclic", 0.0, ("block", "stem", "pooled", "tokens")), "'block' reads 'stem'"),
        (Certificate("acyclic", 0.0, ("stem", "block")), "every block exactly once"),
        (Certificate("norm", 0.1, scaling={}), "no positive scaling"),
        (Certificate("magic", 0.0), "unknown certificate kind"),
    ],
)
def test_a_proof_that_does_not_hold_is_refused(certificate, message):
    with pytest.raises(CertificateError, match=message):
        verify(residual_network(), certificate)


def test_a_norm_below_the_recomputed_one_is_refused():
    with pytest.raises(CertificateError, match=r"claims a bound of 0\.4"):
        verify(loop(0.5), replace(certify(loop(0.5)), bound=0.4))


def test_a_scaling_with_a_zero_is_refused():
    with pytest.raises(CertificateError, match="no positive scaling"):
        verify(loop(0.5), Certificate("norm", 0.5, scaling={"x": np.zeros(8)}))


GATE = Activation("product", {"parts": ((8,), (8,))})


def gated(looped: bool) -> ImplicitModel:
    """Rows, a sigmoid gate of them and the product of both; the rows may read the product."""
    flat = [Pad((0,), (8,)), Pad((8,), (0,))]
    terms = (Term("u", (), weight(8, 4)), *((Term("product", (), 0.01 * weight(8, 8)),) if looped else ()))
    return ImplicitModel(
        (Input("u", (4,)),),
        (
            StateBlock("rows", Affine((8,), terms, bias(8)), Activation("identity")),
            StateBlock("gate", Affine((8,), (Term("rows", (), weight(8, 8)),)), Activation("sigmoid")),
            StateBlock("product", Affine((16,), (Term("rows", (flat[0],)), Term("gate", (flat[1],)))), GATE),
            StateBlock("after", Affine((8,), (Term("product", (), weight(8, 8)),)), Activation("relu")),
        ),
        (Output("y", Affine((8,), (Term("after"),))),),
    )


def test_an_acyclic_model_may_hold_products():
    certificate = certify(gated(looped=False))
    assert certificate.kind == "acyclic"
    verify(gated(looped=False), certificate)


def test_a_loop_through_a_product_has_no_certificate():
    with pytest.raises(CertificateError, match="product of block 'product' has no Lipschitz constant"):
        certify(gated(looped=True))
    ones = {b.name: np.ones(b.shape) for b in gated(looped=True).blocks}
    assert norm_bound(gated(looped=True), ones) == np.inf
    with pytest.raises(CertificateError, match="no Lipschitz constant"):
        row_scaling(gated(looped=True), 0.99, 2.0)


def test_substitution_starts_anew_behind_a_product():
    model = gated(looped=False)
    scaling = substituted_scaling(model, 0.99)
    assert set(scaling) == {"rows", "gate", "after"}
    assert all(np.isfinite(s).all() for s in scaling.values())
    assert (scaling["after"] == 1).all()
    bounds = row_bounds(model, scaling, 0.99)
    assert (absolute_rows(model.blocks[1].affine, scaling) <= bounds["gate"] * (1 + 1e-12)).all()
    np.testing.assert_allclose(bounds["gate"], 0.99 * scaling["gate"] / 0.25)


def test_scalings_that_would_overflow_start_anew():
    steep = Activation("layer_norm", {"axes": (0,), "epsilon": 1e-12})
    rows = [
        StateBlock(f"b{i}", Affine((8,), (Term(f"b{i - 1}" if i else "u", (), weight(8, 8)),)), steep)
        for i in range(60)
    ]
    model = ImplicitModel((Input("u", (8,)),), tuple(rows), (Output("y", Affine((8,), (Term("b59"),))),))
    scaling = substituted_scaling(model, 0.5)
    assert 0 < len(scaling) < 60
    assert all(np.isfinite(s).all() for s in scaling.values())
