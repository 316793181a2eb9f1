"""phi of single pre-activations in torch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sim_compress.activations import IDENTITY

Attributes = Mapping[str, Any]
Function = Callable[[Tensor, Attributes], Tensor]


def truth(z: Tensor, values: Tensor) -> Tensor:
    """Truth values as 1 and 0 in the dtype of z."""
    return values.to(z.dtype)


def _plain(function: Callable[[Tensor], Tensor]) -> Function:
    """A function without attributes."""
    return lambda z, _: function(z)


def _bent(z: Tensor, slope: Tensor | float) -> Tensor:
    return torch.where(z > 0, z, z * slope)


def _prelu(z: Tensor, a: Attributes) -> Tensor:
    return _bent(z, torch.as_tensor(a["slopes"], dtype=z.dtype, device=z.device))


def _softplus(z: Tensor) -> Tensor:
    # torch's own becomes linear beyond a threshold.
    return torch.logaddexp(z, torch.zeros_like(z))


def _elu(z: Tensor, alpha: float) -> Tensor:
    # The branch that is not taken must not overflow: its gradient would be NaN.
    return torch.where(z > 0, z, alpha * torch.expm1(z.clamp(max=0)))


def _celu(z: Tensor, alpha: float) -> Tensor:
    return z.clamp(min=0) + alpha * torch.expm1(z.clamp(max=0) / alpha)


def _shrink(z: Tensor, a: Attributes) -> Tensor:
    outside = torch.where(z > a["lambda"], z - a["bias"], torch.zeros_like(z))
    return torch.where(z < -a["lambda"], z + a["bias"], outside)


PHIS: dict[str, Function] = {
    IDENTITY: _plain(lambda z: z),
    "relu": _plain(torch.relu),
    "leaky_relu": lambda z, a: _bent(z, a["slope"]),
    "prelu": _prelu,
    "thresholded_relu": lambda z, a: torch.where(z > a["alpha"], z, torch.zeros_like(z)),
    "elu": lambda z, a: _elu(z, a["alpha"]),
    "selu": lambda z, a: a["gamma"] * _elu(z, a["alpha"]),
    "celu": lambda z, a: _celu(z, a["alpha"]),
    "softplus": _plain(_softplus),
    "gelu": _plain(functional.gelu),
    "gelu_tanh": _plain(lambda z: functional.gelu(z, approximate="tanh")),
    "swish": lambda z, a: z * torch.sigmoid(a["alpha"] * z),
    "hard_swish": _plain(lambda z: z * (z / 6 + 0.5).clamp(0, 1)),
    "mish": _plain(lambda z: z * torch.tanh(_softplus(z))),
    "shrink": _shrink,
    "abs": _plain(torch.abs),
    "square": _plain(torch.square),
    "clip": lambda z, a: z.clamp(a["low"], a["high"]),
    "sigmoid": _plain(torch.sigmoid),
    "tanh": _plain(torch.tanh),
    "hard_sigmoid": lambda z, a: (a["alpha"] * z + a["beta"]).clamp(0, 1),
    "softsign": _plain(functional.softsign),
    "erf": _plain(torch.erf),
    "exp": _plain(torch.exp),
    "log": _plain(torch.log),
    "sqrt": _plain(torch.sqrt),
    "reciprocal": _plain(torch.reciprocal),
    "power": lambda z, a: torch.pow(z, a["exponent"]),
    "sin": _plain(torch.sin),
    "cos": _plain(torch.cos),
    "tan": _plain(torch.tan),
    "asin": _plain(torch.asin),
    "acos": _plain(torch.acos),
    "atan": _plain(torch.atan),
    "sinh": _plain(torch.sinh),
    "cosh": _plain(torch.cosh),
    "asinh": _plain(torch.asinh),
    "acosh": _plain(torch.acosh),
    "atanh": _plain(torch.atanh),
    "floor": _plain(torch.floor),
    "ceil": _plain(torch.ceil),
    "round": _plain(torch.round),
    "truncate": _plain(torch.trunc),
    "sign": _plain(torch.sign),
    "nonzero": _plain(lambda z: truth(z, z != 0)),
    "not": _plain(lambda z: truth(z, z == 0)),
}
