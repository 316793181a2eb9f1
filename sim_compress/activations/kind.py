"""What is known of one phi, whatever its attributes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Array = NDArray[Any]
Attributes = Mapping[str, Any]
# States that differ by less count as the same where a phi approaches a limit without reaching it.
NEARLY = 1e-3


def non_expansive(_attributes: Attributes, _shape: Shape) -> float:
    """The Lipschitz constant 1."""
    return 1.0


def unbounded(_attributes: Attributes, _shape: Shape) -> float:
    """No Lipschitz constant: phi jumps, or gets as steep as one likes."""
    return math.inf


def constant(value: float) -> Callable[[Attributes, Shape], float]:
    """A Lipschitz constant that depends on nothing."""
    return lambda _attributes, _shape: value


def same_shape(shape: Shape, _attributes: Attributes) -> Shape:
    """The state has the shape of the pre-activation."""
    return shape


def flat(
    intervals: Callable[[Attributes], tuple[tuple[float, float], ...]],
) -> Callable[[Array, Array, Attributes], Array]:
    """`nearest` of a componentwise phi that is constant, or nearly so, on each interval (low, high)."""

    def nearest(z: Array, found: Array, attributes: Attributes) -> Array:
        for low, high in intervals(attributes):
            z = np.where((z >= low) & (z <= high), np.clip(found, low, high), z)
        return z

    return nearest


def flat_below(limit: float) -> Callable[[Array, Array, Attributes], Array]:
    """`nearest` of a phi that is constant, or nearly so, below a limit."""
    return flat(lambda _: ((-math.inf, limit),))


def flat_beyond(limit: float) -> Callable[[Array, Array, Attributes], Array]:
    """The same on both sides of an interval around 0."""
    return flat(lambda _: ((-math.inf, -limit), (limit, math.inf)))


@dataclass(frozen=True)
class Kind:
    """One phi by its formula and its properties.

    Attributes:
        formula: x in terms of z and the attributes, as docs/format.md states it.
        function: (z of shape (*z_shape, samples), attributes) -> x of shape (*x_shape, samples).
        lipschitz: constant in the inf-norm, given the attributes and the shape of z; infinite where there
            is none or none is known.
        componentwise: x_i depends on z_i alone.
        entrywise: x_i depends on the entries of the parts that broadcast to it alone; takes `parts`.
        state_shape: shape of x from the shape of z; ValueError where the attributes do not fit it.
        nearest: (z, found, attributes) -> the pre-activation nearest to `found` that gives the state of z, or
            nearly so where phi is nearly flat; z itself where only z gives it.
        attributes: the attribute names this phi takes, all required.
    """

    formula: str
    function: Callable[[Array, Attributes], Array]
    lipschitz: Callable[[Attributes, Shape], float] = non_expansive
    componentwise: bool = True
    entrywise: bool = False
    state_shape: Callable[[Shape, Attributes], Shape] = same_shape
    nearest: Callable[[Array, Array, Attributes], Array] | None = None
    attributes: tuple[str, ...] = ()
