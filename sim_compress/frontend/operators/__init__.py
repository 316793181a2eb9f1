"""One module per operator family; importing this package fills the registry."""

from sim_compress.frontend.operators import (
    activation,
    combining,
    convolution,
    cutting,
    elementwise,
    linear,
    normalising,
    picking,
    pooling,
    rearranging,
    recurrent,
    reducing,
    resizing,
)
from sim_compress.frontend.registry import OPERATORS

__all__ = [
    "OPERATORS",
    "activation",
    "combining",
    "convolution",
    "cutting",
    "elementwise",
    "linear",
    "normalising",
    "picking",
    "pooling",
    "rearranging",
    "recurrent",
    "reducing",
    "resizing",
]
