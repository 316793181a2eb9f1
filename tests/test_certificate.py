"""Certificates: given where a proof exists, refused where not, recomputed from the values."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress.certificate import (
    Certificate,
    certify,
    norm_bound,
    substituted_scaling,
    verify,
)
from sim_compress.errors import CertificateError
from sim_compress.model import matrices
from tests.networks import loop, residual_network


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
