"""Gradients of phi of several tensors, the parts of a flat pre-activation."""

from collections.abc import Callable, Sequence

import numpy as np

from sim_compress.activations.kind import Attributes
from sim_compress.activations.parts import split
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse.rule import Rule, no_gradient

# (parts, x, gradient of x) -> the gradient of every part, before what was broadcast is summed.
OfParts = Callable[[Sequence[Array], Array, Array], Sequence[Array]]


def _of_parts(rule: OfParts) -> Rule:
    def pull_back(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
        parts = split(z, a["parts"])
        rank = x.ndim
        # Samples stay last where shapes of different rank are broadcast.
        level = [p.reshape(*(1,) * (rank - p.ndim), *p.shape) for p in parts]
        found = [_summed(g, p.shape) for g, p in zip(rule(level, x, dx), level, strict=True)]
        return np.concatenate([g.reshape(-1, z.shape[-1]) for g in found])

    return pull_back


def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """A gradient summed over the axes along which its part was repeated."""
    axes = tuple(i for i, (own, full) in enumerate(zip(shape, gradient.shape, strict=True)) if own != full)
    return gradient.sum(axis=axes, keepdims=True) if axes else gradient


def _chosen(parts: Sequence[Array], x: Array, dx: Array) -> Sequence[Array]:
    """To the first part that is the result."""
    found, left = [], np.array(dx)
    for part in parts:
        taken = np.where(part == x, left, 0)
        found.append(taken)
        left = left - taken
    return found


def _where(parts: Sequence[Array], _x: Array, dx: Array) -> Sequence[Array]:
    there = parts[0] != 0
    return np.zeros_like(dx), np.where(there, dx, 0), np.where(there, 0, dx)


def _matmul(z: Array, _x: Array, dx: Array, a: Attributes) -> Array:
    left, right = (np.moveaxis(part, -1, 0) for part in split(z, a["parts"]))
    rank = max(left.ndim, right.ndim)
    left, right = (p.reshape(len(p), *(1,) * (rank - p.ndim), *p.shape[1:]) for p in (left, right))
    rows = np.ascontiguousarray(np.moveaxis(dx, -1, 0))
    found = rows @ right.swapaxes(-1, -2), left.swapaxes(-1, -2) @ rows
    parts = (_summed(g, p.shape).reshape(len(g), -1) for g, p in zip(found, (left, right), strict=True))
    return np.concatenate([np.moveaxis(p, 0, -1) for p in parts])


def _remainder(whole: Callable[[Array], Array]) -> Rule:
    """z1 - z2 whole(z1 / z2)."""
    return _of_parts(lambda p, _x, dx: (dx, -dx * whole(p[0] / p[1])))


RULES: dict[str, Rule] = {
    "product": _of_parts(lambda p, _x, dx: (dx * p[1], dx * p[0])),
    "quotient": _of_parts(lambda p, x, dx: (dx / p[1], -dx * x / p[1])),
    "raised": _of_parts(lambda p, x, dx: (dx * p[1] * p[0] ** (p[1] - 1), dx * x * np.log(p[0]))),
    "remainder": _remainder(np.floor),
    "truncated_remainder": _remainder(np.trunc),
    "maximum": _of_parts(_chosen),
    "minimum": _of_parts(_chosen),
    "where": _of_parts(_where),
    "matmul": _matmul,
    **dict.fromkeys(
        ("equal", "less", "less_or_equal", "greater", "greater_or_equal", "and", "or", "xor"), no_gradient
    ),
}
