"""phi by name: the function, its inf-norm Lipschitz constant and its properties.

A phi acts on an array of shape (*z_shape, samples). Most are componentwise; max pooling acts on
groups of pre-activations and gives a state of another shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import UnsupportedError

Shape = tuple[int, ...]
Array = NDArray[Any]


@dataclass(frozen=True)
class Kind:
    """What is known of one phi, whatever its attributes.

    Attributes:
        function: (z of shape (*z_shape, samples), attributes) -> x of shape (*x_shape, samples).
        lipschitz: constant in the inf-norm, given the attributes.
        componentwise: x_i depends on z_i alone.
        homogeneous: phi(a z) = a phi(z) for a > 0.
        state_shape: shape of x from the shape of z.
        attributes: the attribute names this phi takes, all required.
    """

    function: Callable[[Array, Mapping[str, Any]], Array]
    lipschitz: Callable[[Mapping[str, Any]], float] = lambda _: 1.0
    componentwise: bool = True
    homogeneous: bool = False
    state_shape: Callable[[Shape, Mapping[str, Any]], Shape] = lambda shape, _: shape
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Activation:
    """One phi with its attributes, for example leaky_relu with its slope.

    Raises:
        UnsupportedError: the name is unknown or the attributes are not the ones it takes.
    """

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise UnsupportedError(f"unknown phi {self.name!r}; known: {', '.join(sorted(KINDS))}")
        wanted = KINDS[self.name].attributes
        if set(self.attributes) != set(wanted):
            raise UnsupportedError(f"phi {self.name!r} takes {wanted}, got {tuple(self.attributes)}")

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def lipschitz(self) -> float:
        """Smallest known L with |phi(z) - phi(z')|_inf <= L |z - z'|_inf."""
        return self.kind.lipschitz(self.attributes)

    def state_shape(self, shape: Shape) -> Shape:
        """Shape of the state x for a pre-activation of the given shape."""
        return self.kind.state_shape(shape, self.attributes)

    def __call__(self, z: Array) -> Array:
        """x = phi(z); both with samples on the last axis."""
        return self.kind.function(z, self.attributes)


IDENTITY = "identity"


def _pool_windows(z: Array, attributes: Mapping[str, Any]) -> Array:
    """Sliding windows of the spatial axes: (channels, *out, samples, *kernel), -inf outside."""
    kernel, strides = attributes["kernel"], attributes["strides"]
    dilations = attributes["dilations"]
    pads = [(0, 0), *zip(attributes["pads_begin"], attributes["pads_end"], strict=True), (0, 0)]
    padded = np.pad(z, pads, constant_values=-np.inf)
    spatial = tuple(range(1, z.ndim - 1))
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=spatial)
    steps = (slice(None), *(slice(None, None, s) for s in strides), slice(None))
    return windows[(*steps, *(slice(None, None, d) for d in dilations))]


def _max_pool(z: Array, attributes: Mapping[str, Any]) -> Array:
    windows = _pool_windows(z, attributes)
    return windows.max(axis=tuple(range(z.ndim, windows.ndim)))


def _max_pool_shape(shape: Shape, attributes: Mapping[str, Any]) -> Shape:
    sizes = [attributes[key] for key in ("kernel", "strides", "dilations", "pads_begin", "pads_end")]
    if len(shape) < 2 or {len(s) for s in sizes} != {len(shape) - 1}:
        raise ValueError(f"max_pool of rank {sorted({len(s) for s in sizes})} on {shape}")
    if min(map(min, sizes[:3])) < 1 or min(map(min, sizes[3:])) < 0:
        raise ValueError(f"max_pool with non-positive sizes: {dict(attributes)}")
    out = tuple(
        (size + begin + end - (k - 1) * d - 1) // s + 1
        for size, k, s, d, begin, end in zip(shape[1:], *sizes, strict=True)
    )
    if min(out) < 1:
        raise ValueError(f"max_pool kernel {sizes[0]} larger than the padded input {shape}")
    return (shape[0], *out)


def _sigmoid(z: Array, _: Mapping[str, Any]) -> Array:
    half = np.asarray(0.5, z.dtype)
    return half * (np.tanh(half * z) + 1)


KINDS: dict[str, Kind] = {
    IDENTITY: Kind(lambda z, _: z, homogeneous=True),
    "relu": Kind(lambda z, _: np.maximum(z, 0), homogeneous=True),
    "leaky_relu": Kind(
        lambda z, a: np.where(z > 0, z, z * np.asarray(a["slope"], z.dtype)),
        lipschitz=lambda a: max(1.0, abs(a["slope"])),
        homogeneous=True,
        attributes=("slope",),
    ),
    "clip": Kind(lambda z, a: np.clip(z, a["low"], a["high"]), attributes=("low", "high")),
    "sigmoid": Kind(_sigmoid, lipschitz=lambda _: 0.25),
    "tanh": Kind(lambda z, _: np.tanh(z)),
    "max_pool": Kind(
        _max_pool,
        componentwise=False,
        homogeneous=True,
        state_shape=_max_pool_shape,
        attributes=("kernel", "strides", "dilations", "pads_begin", "pads_end"),
    ),
}
