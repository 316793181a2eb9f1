"""One module per operator family; importing this package fills the registry."""

from sim_compress.frontend.operators import (
    activation,
    combining,
    convolution,
    elementwise,
    linear,
    normalising,
    pooling,
    rearranging,
    reducing,
)
from sim_compress.frontend.registry import OPERATORS

__all__ = [
    "OPERATORS",
    "activation",
    "combining",
    "convolution",
    "elementwise",
    "linear",
    "normalising",
    "pooling",
    "rearranging",
    "reducing",
]
