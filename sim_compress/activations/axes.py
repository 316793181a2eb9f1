"""The axes of a pre-activation that a phi works along."""

from math import prod

from sim_compress.activations.kind import Attributes, Shape


def check_axes(shape: Shape, a: Attributes) -> Shape:
    """The shape itself; ValueError unless `axes` are some of its axes, each once and in order."""
    axes = tuple(a["axes"])
    if not axes or sorted({*axes}) != list(axes) or not 0 <= axes[0] <= axes[-1] < len(shape):
        raise ValueError(f"expected axes of {shape} in order, found {axes}")
    return shape


def without_axes(shape: Shape, a: Attributes) -> Shape:
    """What is left of a shape where the axes leave; ValueError where they do not fit."""
    check_axes(shape, a)
    return tuple(size for axis, size in enumerate(shape) if axis not in a["axes"])


def group_size(shape: Shape, a: Attributes) -> int:
    """Number of pre-activations along the axes."""
    return prod(shape[axis] for axis in a["axes"])
