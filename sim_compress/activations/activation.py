"""One phi with its attributes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sim_compress.activations.families import KINDS
from sim_compress.activations.held import check_held
from sim_compress.activations.kind import Array, Kind, Shape
from sim_compress.errors import UnsupportedError

# Attributes that may be infinite: a bound that binds nothing.
BOUNDS = ("low", "high")


@dataclass(frozen=True)
class Activation:
    """One phi with its attributes, for example leaky_relu with its slope.

    Raises:
        UnsupportedError: the name is unknown or the attributes are not the ones it takes.
        InputError: an attribute is a number that float32 does not hold.
    """

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise UnsupportedError(f"unknown phi {self.name!r}; known: {', '.join(sorted(KINDS))}")
        wanted = KINDS[self.name].attributes
        if set(self.attributes) != set(wanted):
            raise UnsupportedError(f"phi {self.name!r} takes {wanted}, got {tuple(self.attributes)}")
        for key, value in self.attributes.items():
            if isinstance(value, float | np.floating | np.ndarray):
                check_held(f"{key} of phi {self.name!r}", value, infinite=key in BOUNDS)

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def lipschitz(self, shape: Shape) -> float:
        """L with |phi(z) - phi(z')|_inf <= L |z - z'|_inf for z of a shape; infinite where none is known."""
        return self.kind.lipschitz(self.attributes, shape)

    def state_shape(self, shape: Shape) -> Shape:
        """Shape of the state x for a pre-activation of the given shape; ValueError where they do not fit."""
        return self.kind.state_shape(shape, self.attributes)

    def nearest(self, z: Array, found: Array) -> Array:
        """The pre-activation nearest to `found` that gives the state of z; both (*z_shape, samples)."""
        nearest = self.kind.nearest
        return z if nearest is None else nearest(z, found, self.attributes).astype(z.dtype, copy=False)

    def __call__(self, z: Array) -> Array:
        """x = phi(z); both with samples on the last axis. Infinities and NaN come out as IEEE says."""
        with np.errstate(all="ignore"):
            return self.kind.function(z, self.attributes)
