"""What a gradient of phi is a function of."""

from collections.abc import Callable

import numpy as np

from sim_compress.activations.kind import Attributes
from sim_compress.model.maps import Array

# (z, x, gradient of x, attributes) -> gradient of z; all with lanes on the last axis.
Rule = Callable[[Array, Array, Array, Attributes], Array]


def no_gradient(z: Array, _x: Array, _dx: Array, _a: Attributes) -> Array:
    """Of a phi of steps."""
    return np.zeros_like(z)
