"""Chains of fixed maps that fit a shape."""

import math
from collections.abc import Callable
from random import Random

import numpy as np
from scipy import sparse

from sim_compress.model import (
    AlongAxis,
    LinearMap,
    Offset,
    Pad,
    Patches,
    Reshape,
    Scale,
    Shape,
    Slice,
    Sum,
    Transpose,
    picking,
)
from tools.fuzz import numbers

# Elements of any array that is made: a case shall take milliseconds.
LARGEST = 4096

Maker = Callable[[Random, Shape], LinearMap | None]


def chain(rng: Random, shape: Shape) -> tuple[tuple[LinearMap, ...], Shape]:
    """Some maps from a shape on, and the shape they give."""
    maps: list[LinearMap] = []
    for _ in range(rng.choice((0, 0, 1, 2, 3, 5))):
        step = rng.choice(MAKERS)(rng, shape)
        if step is not None and math.prod(step.out_shape(shape)) <= LARGEST:
            maps.append(step)
            shape = step.out_shape(shape)
    return tuple(maps), shape


def fitted(rng: Random, shape: Shape, wanted: Shape) -> tuple[LinearMap, ...]:
    """Maps that bring a shape to another: its entries in order, cut off or filled up with zeros."""
    size, target = math.prod(shape), math.prod(wanted)
    if shape == wanted:
        return ()
    maps: list[LinearMap] = [Reshape((size,))]
    if size > target:
        start = rng.randint(0, size - target)
        maps.append(Slice((start,), (target,), (1,)))
    elif size < target:
        before = rng.randint(0, target - size)
        maps.append(Pad((before,), (target - size - before,)))
    return (*maps, Reshape(wanted))


def _reshape(rng: Random, shape: Shape) -> LinearMap:
    size = math.prod(shape)
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    first = rng.choice(divisors)
    return Reshape(rng.choice(((size,), (first, size // first), (1, first, size // first))))


def _transpose(rng: Random, shape: Shape) -> LinearMap:
    return Transpose(tuple(rng.sample(range(len(shape)), len(shape))))


def _slice(rng: Random, shape: Shape) -> LinearMap:
    starts, counts, steps = [], [], []
    for size in shape:
        step = rng.choice((1, 1, 2, -1, -2))
        start = rng.randrange(size)
        room = (size - 1 - start) // step if step > 0 else start // -step
        starts.append(start)
        counts.append(rng.randint(1, room + 1))
        steps.append(step)
    return Slice(tuple(starts), tuple(counts), tuple(steps))


def _pad(rng: Random, shape: Shape) -> LinearMap:
    return Pad(*(tuple(rng.choice((0, 0, 1, 3)) for _ in shape) for _ in range(2)))


def _patches(rng: Random, shape: Shape) -> LinearMap | None:
    if len(shape) not in (2, 3):
        return None
    space = shape[1:]
    kernel = tuple(rng.choice((1, 2, 3)) for _ in space)
    step = Patches(
        kernel,
        tuple(rng.choice((1, 1, 2)) for _ in space),
        tuple(rng.choice((1, 1, 2)) for _ in space),
        *(tuple(rng.choice((0, 1, 1, 2)) for _ in space) for _ in range(2)),
    )
    try:
        step.out_shape(shape)
    except ValueError:
        return None
    return step


def _sum(rng: Random, shape: Shape) -> LinearMap | None:
    return Sum(tuple(sorted(rng.sample(range(len(shape)), rng.randint(1, len(shape)))))) if shape else None


def _constant(rng: Random, shape: Shape) -> np.ndarray:
    """A number or an array that broadcasts, float64 where float32 does not hold it."""
    if rng.random() < 0.5:
        return np.array(numbers.usual(rng))
    own = tuple(size if rng.random() < 0.7 else 1 for size in shape)
    return numbers.spread(rng, own)


def _along(rng: Random, shape: Shape) -> LinearMap | None:
    if not shape:
        return None
    axis = rng.randrange(len(shape))
    size, rows = shape[axis], rng.randint(1, 6)
    if rng.random() < 0.5:
        return picking(axis, [rng.randrange(-1, size) for _ in range(rows)], size)
    dense = numbers.spread(rng, (rows, size))
    dense[np.random.default_rng(rng.getrandbits(32)).random(dense.shape) < 0.5] = 0
    return AlongAxis(axis, sparse.csr_array(dense))


MAKERS: tuple[Maker, ...] = (
    _reshape,
    _transpose,
    _slice,
    _pad,
    _patches,
    _patches,
    _sum,
    lambda rng, shape: Scale(_constant(rng, shape)),
    lambda rng, shape: Offset(_constant(rng, shape)),
    _along,
)
