"""One module per operator family; importing this package fills the registry."""

from sim_compress.frontend.operators import (
    activation,
    convolution,
    elementwise,
    linear,
    pooling,
    rearranging,
)
from sim_compress.frontend.registry import OPERATORS

__all__ = ["OPERATORS", "activation", "convolution", "elementwise", "linear", "pooling", "rearranging"]
