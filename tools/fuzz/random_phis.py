"""A phi with attributes, and the shape of pre-activation that it fits."""

import math
from random import Random
from typing import Any

from sim_compress.activations import KINDS, Activation
from sim_compress.model import Shape
from tools.fuzz import numbers

SHAPES: tuple[Shape, ...] = ((), (1,), (5,), (12,), (33,), (4, 3), (2, 7), (3, 5, 5), (2, 8, 8), (2, 3, 2, 2))
PARTS: tuple[tuple[Shape, Shape], ...] = (((3, 4), (3, 4)), ((2, 3, 1), (1, 4)), ((5,), ()), ((7,), (7,)))
PRODUCTS: tuple[tuple[Shape, Shape], ...] = (((3, 4), (4, 2)), ((2, 3, 4), (4, 5)), ((2, 1, 3), (1, 3, 2)))
# Numbers that a network would have, by attribute; all others are drawn like weights.
POSITIVE = ("epsilon", "lambda")
BORDERS = 0.05


def phi(rng: Random, shape: Shape | None = None) -> tuple[Activation, Shape]:
    """A phi and the shape of z, the one asked for where the phi takes it."""
    while True:
        name = rng.choice(("relu", "relu", "identity", *KINDS))
        z = shape if shape is not None else rng.choice(SHAPES)
        attributes = {key: _attribute(rng, name, key, z) for key in KINDS[name].attributes}
        if "parts" in attributes:
            z = (sum(math.prod(part) for part in attributes["parts"]),)
        try:
            found = Activation(name, attributes)
            found.state_shape(z)
        except (ValueError, IndexError):
            shape = None
            continue
        return found, z


def _attribute(rng: Random, name: str, key: str, z: Shape) -> Any:
    space = len(z) - 1
    match key:
        case "axes":
            axes = rng.sample(range(len(z)), rng.randint(1, len(z))) if z else []
            return tuple(sorted(axes[:1] if name == "arg_max" else axes))
        case "parts":
            first = rng.choice(PRODUCTS if name == "matmul" else PARTS)
            return (*first, first[0]) if name == "where" else first
        case "kernel":
            return tuple(rng.choice((1, 2, 3)) for _ in range(space))
        case "strides" | "dilations":
            return tuple(rng.choice((1, 1, 2)) for _ in range(space))
        case "pads_begin" | "pads_end":
            return tuple(rng.choice((0, 1)) for _ in range(space))
        case "size":
            return rng.randint(1, 5)
        case "p":
            return rng.choice((1, 2))
        case "slopes":
            return numbers.spread(rng, tuple(size if rng.random() < 0.7 else 1 for size in z))
    if rng.random() < BORDERS:
        return numbers.real(rng)
    if key in ("low", "high"):
        return rng.choice((-math.inf if key == "low" else math.inf, -0.5, 0.0, 1.0, 6.0))
    return abs(numbers.usual(rng)) + 1e-3 if key in POSITIVE else numbers.usual(rng)
