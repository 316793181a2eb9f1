"""Every phi in torch equals that of the numpy kernels, and its gradient equals finite differences."""

from typing import Any

import numpy as np
import pytest

from sim_compress.activations import KINDS
from sim_compress.runtime import Session
from tests.runtime.phi_models import every_phi, phi_model

pytest.importorskip("torch", reason="the extra 'torch' is not installed")

import torch

from sim_compress.runtime.autograd.phis import PHIS

# Elementary functions of two libraries in float32.
ROUNDING = 2e-6


@pytest.mark.parametrize(("name", "a"), every_phi())
def test_values(name: str, a: dict[str, Any]):
    model, fed = phi_model(name, a, weighted=False)
    session = Session(model, kernel="scipy")
    found = session.to_torch()({n: torch.tensor(u) for n, u in fed.items()})
    np.testing.assert_allclose(found.numpy(), session(fed), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize(("name", "a"), every_phi())
def test_gradients(name: str, a: dict[str, Any]):
    model, fed = phi_model(name, a, weighted=False)
    module = Session(model).to_torch().double()
    names = list(fed)

    def function(*tensors: torch.Tensor) -> torch.Tensor:
        return module(dict(zip(names, tensors, strict=True)))

    arguments = [torch.tensor(u[:1].astype(np.float64), requires_grad=True) for u in fed.values()]
    if not function(*arguments).requires_grad:
        assert not np.isfinite(KINDS[name].lipschitz(a, model.blocks[0].affine.shape))
        return
    assert torch.autograd.gradcheck(function, arguments, fast_mode=True)


@pytest.mark.parametrize("name", ["elu", "softplus", "celu", "mish", "swish", "log_softmax", "softmax"])
def test_large_numbers_neither_overflow_nor_spoil_the_gradient(name: str):
    a = {"alpha": 1.0} if "alpha" in KINDS[name].attributes else {}
    z = torch.tensor([[200.0, -200.0]], requires_grad=True)
    PHIS[name](z, {**a, "axes": (0,)}).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
