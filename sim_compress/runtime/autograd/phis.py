"""phi in torch: one function for every name of `activations.KINDS`.

Each takes z (samples, *z_shape) and the attributes of the phi, and gives x (samples, *x_shape).
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sim_compress.activations import IDENTITY, Activation
from sim_compress.errors import UnsupportedError

Attributes = Mapping[str, Any]


def check_phi(phi: Activation) -> None:
    """Refuse a phi without a function.

    Raises:
        UnsupportedError: with its name.
    """
    if phi.name not in PHIS:
        raise UnsupportedError(f"phi {phi.name!r} has no torch function: use a numpy kernel for this model")


def apply_phi(phi: Activation, z: Tensor) -> Tensor:
    """x = phi(z), samples on the first axis."""
    return PHIS[phi.name](z, phi.attributes)


def _max_pool(z: Tensor, attributes: Attributes) -> Tensor:
    """The maximum over a window is that along one axis after the other."""
    sizes = [attributes[key] for key in ("kernel", "strides", "dilations", "pads_begin", "pads_end")]
    for axis, (kernel, stride, dilation, begin, end) in enumerate(zip(*sizes, strict=True), 2):
        lines = functional.pad(z.movedim(axis, -1), (begin, end), value=-torch.inf)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        pooled = functional.max_pool1d(flat, kernel, stride, dilation=dilation)
        z = pooled.reshape(*lines.shape[:-1], -1).movedim(-1, axis)
    return z


PHIS: dict[str, Callable[[Tensor, Attributes], Tensor]] = {
    IDENTITY: lambda z, _: z,
    "relu": lambda z, _: torch.relu(z),
    "leaky_relu": lambda z, a: functional.leaky_relu(z, a["slope"]),
    "clip": lambda z, a: torch.clamp(z, a["low"], a["high"]),
    "sigmoid": lambda z, _: torch.sigmoid(z),
    "tanh": lambda z, _: torch.tanh(z),
    "max_pool": _max_pool,
}
