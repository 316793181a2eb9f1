"""Boxes of values and what a block's rows make of them, wide enough for evaluation in float32.

With centre c and radius r of the sources, z lies within |W| r of W c. A sum of n products in float32, in any
order and with or without fused products, is off by at most n u / (1 - n u) times the sum of their sizes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from sim_compress.certificate import absolute_map
from sim_compress.model import Affine, ImplicitModel, LinearMap, Offset, apply_chain
from sim_compress.model.maps import Array
from sim_compress.model.unrolling import fan_in

# Half of the distance from 1 to the next float32.
UNIT = 2.0**-24
# Operations of an entry besides its products: scales, offsets, the bias and what is stored on the way.
BESIDES = 8
# What float32 rounds to 0 without a relative bound.
SMALLEST = 2.0**-126


@dataclass(frozen=True, eq=False)
class Box:
    """All values between two arrays (*shape, samples), in float64."""

    low: Array
    high: Array

    @property
    def centre(self) -> Array:
        return (self.low + self.high) / 2

    @property
    def radius(self) -> Array:
        """Rounded up."""
        return np.maximum(self.high - self.centre, self.centre - self.low) * (1 + 2.0**-50)

    @property
    def largest(self) -> Array:
        """Largest size of a value."""
        return np.maximum(np.abs(self.low), np.abs(self.high))

    def widened(self, by: Array) -> "Box":
        """By as much on both sides; an end that is no number is infinite."""
        return Box(_end(self.low - by, -np.inf), _end(self.high + by, np.inf))

    def within(self, other: "Box") -> "Box":
        """What both boxes hold."""
        return Box(np.maximum(self.low, other.low), np.minimum(self.high, other.high))


@dataclass(frozen=True, eq=False)
class Reach:
    """Where z of a block lies.

    Attributes:
        box: with the rounding.
        rounding: how far evaluation in float32 may be off, (*shape, samples).
    """

    box: Box
    rounding: Array


def reach(model: ImplicitModel, affine: Affine, boxes: Mapping[str, Box]) -> Reach:
    """Of the rows of a block or output from the boxes of its sources."""
    samples = next(iter(boxes.values())).low.shape[-1]
    centre, radius, size = (np.zeros((*affine.shape, samples)) for _ in range(3))
    count = np.full(affine.rows, float(BESIDES + len(affine.terms)))
    for term in affine.terms:
        box, fixed = boxes[term.source], _is_fixed(model, term.source)
        parts = _features(term.maps, box, fixed)
        if term.weight is not None:
            W = sparse.csr_array(term.weight, dtype=np.float64)
            size_of = sparse.csr_array(abs(W))
            parts = [_products(affine, w, p) for w, p in zip((W, size_of, size_of), parts, strict=True)]
            count += np.diff(term.weight.indptr)
        count += _fan(term.maps, model.shapes[term.source])
        centre, radius, size = centre + parts[0], radius + parts[1], size + parts[2]
    if affine.bias is not None:
        bias = affine.placed(np.repeat(affine.bias.astype(np.float64)[:, None], prod(affine.positions), 1))
        centre, size = centre + bias[..., None], size + np.abs(bias)[..., None]
    counts = affine.placed(np.repeat(count[:, None], prod(affine.positions), 1))[..., None]
    rounding = counts * UNIT / (1 - counts * UNIT) * size + counts * SMALLEST
    return Reach(Box(centre - radius, centre + radius).widened(rounding), rounding)


def _features(maps: tuple[LinearMap, ...], box: Box, fixed: bool) -> list[Array]:
    """Centre, radius and largest size of the features of a term."""
    centre = apply_chain(maps, box.centre)
    if fixed:
        return [centre, np.zeros(centre.shape), np.abs(centre)]
    moved = [absolute_map(m) for m in maps if not isinstance(m, Offset)]
    sizes = [Offset(abs(m.offset)) if isinstance(m, Offset) else absolute_map(m) for m in maps]
    return [centre, apply_chain(moved, box.radius), apply_chain(sizes, box.largest)]


def _products(affine: Affine, weight: sparse.csr_array, features: Array) -> Array:
    """Of the rows, (*shape, samples)."""
    samples = features.shape[-1]
    rows = weight @ features.reshape(len(features), -1)
    return affine.placed(rows.reshape(affine.rows, -1), samples)


def _fan(maps: tuple[LinearMap, ...], shape: tuple[int, ...]) -> int:
    """The most entries that one feature sums up."""
    total = 0
    for step in maps:
        total += fan_in(step, shape)
        shape = step.out_shape(shape)
    return total


def _is_fixed(model: ImplicitModel, source: str) -> bool:
    """Whether a source is an input that does not move, as ids."""
    return any(i.name == source and np.dtype(i.dtype).kind != "f" for i in model.inputs)


def _end(values: Array, otherwise: float) -> Array:
    return np.where(np.isnan(values), otherwise, values)
