"""Compiled code of the operations that go element by element; each function runs one item.

Places are unsigned: numba would ask of every signed one whether it counts from the end.
"""

from typing import Any

import numpy as np

from sim_compress.compilation import part
from sim_compress.runtime.compiled.code.operations import (
    CHUNK,
    Gather,
    Maximum,
    Sums,
)

GATHER, SUMS, MAXIMUM = Gather.CODE, Sums.CODE, Maximum.CODE
# A type checker would take the compiled functions for plain ones.
U = np.uint64
ONE, TWO, THREE, FOUR = U(1), U(2), U(3), U(4)


@part(error_model="numpy")
def element_item(ops: Any, i: int, item: int, integers: Any, floats: Any, arena: Any) -> None:
    """One item of operation i."""
    code = ops[i, 0]
    if code == GATHER:
        _gather(ops, i, item, integers, arena)
    elif code == SUMS:
        _sums(ops, i, item, integers, floats, arena)
    elif code == MAXIMUM:
        _maximum(ops, i, item, integers, arena)
    else:
        _product(ops, i, item, integers, arena)


@part(error_model="numpy")
def _gather(ops: Any, i: int, item: int, integers: Any, arena: Any) -> None:
    targets, sources, count = U(ops[i, 2]), U(ops[i, 3]), U(ops[i, 4])
    step, source_step, samples = U(ops[i, 5]), U(ops[i, 6]), U(ops[i, 7])
    begin = U(item * CHUNK)
    end = min(begin + U(CHUNK), count)
    for n in range(samples):
        to, source = n * step, n * source_step
        for e in range(begin, end):
            arena[U(integers[targets + e]) + to] = arena[U(integers[sources + e]) + source]


@part(error_model="numpy")
def _sums(ops: Any, i: int, item: int, integers: Any, floats: Any, arena: Any) -> None:
    """In float64: a mean over an image would lose digits that numpy's pairwise sums keep.

    Four sums side by side, of four samples while there are so many: one alone waits for itself.
    """
    targets, pointers = U(ops[i, 2]), U(ops[i, 3])
    sources, weights, alike, constants = U(ops[i, 4]), U(ops[i, 5]), ops[i, 6] != 0, U(ops[i, 7])
    count, share, step, source_step = U(ops[i, 8]), U(ops[i, 9]), U(ops[i, 10]), U(ops[i, 11])
    samples = U(ops[i, 12])
    begin = U(item) * share
    for e in range(begin, min(begin + share, count)):
        target, constant = U(integers[targets + e]), np.float64(floats[constants + e])
        first, last = U(integers[pointers + e]), U(integers[pointers + e + ONE])
        factor = np.float64(floats[weights + e]) if alike else 1.0
        n = U(0)
        while n + FOUR <= samples:
            a = b = c = d = 0.0
            for k in range(first, last):
                w = _weight(floats, weights + k, alike)
                x = U(integers[sources + k]) + n * source_step
                a += w * arena[x]
                b += w * arena[x + source_step]
                c += w * arena[x + TWO * source_step]
                d += w * arena[x + THREE * source_step]
            z = target + n * step
            arena[z], arena[z + step] = factor * a + constant, factor * b + constant
            arena[z + TWO * step], arena[z + THREE * step] = factor * c + constant, factor * d + constant
            n += FOUR
        while n < samples:
            terms = _sum(integers, floats, arena, first, last, weights, alike, sources, n * source_step)
            arena[target + n * step] = factor * terms + constant
            n += ONE


@part(error_model="numpy")
def _sum(
    integers: Any,
    floats: Any,
    arena: Any,
    first: Any,
    last: Any,
    weights: Any,
    alike: bool,
    sources: Any,
    shift: Any,
) -> Any:
    """The terms of one element of one sample."""
    a = b = c = d = 0.0
    k = first
    while k + FOUR <= last:
        w, x = weights + k, sources + k
        a += _weight(floats, w, alike) * arena[U(integers[x]) + shift]
        b += _weight(floats, w + ONE, alike) * arena[U(integers[x + ONE]) + shift]
        c += _weight(floats, w + TWO, alike) * arena[U(integers[x + TWO]) + shift]
        d += _weight(floats, w + THREE, alike) * arena[U(integers[x + THREE]) + shift]
        k += FOUR
    while k < last:
        a += _weight(floats, weights + k, alike) * arena[U(integers[sources + k]) + shift]
        k += ONE
    return (a + b) + (c + d)


@part(error_model="numpy")
def _weight(floats: Any, place: Any, alike: bool) -> float:
    """Of one term; those of one weight are multiplied when they are summed."""
    return 1.0 if alike else np.float64(floats[place])


@part(error_model="numpy")
def _maximum(ops: Any, i: int, item: int, integers: Any, arena: Any) -> None:
    targets, sources, window, count = U(ops[i, 2]), U(ops[i, 3]), U(ops[i, 4]), U(ops[i, 5])
    step, source_step, samples = U(ops[i, 6]), U(ops[i, 7]), U(ops[i, 8])
    begin = U(item * CHUNK)
    for e in range(begin, min(begin + U(CHUNK), count)):
        target, first = U(integers[targets + e]), sources + e * window
        for n in range(samples):
            best = np.float32(-np.inf)
            for k in range(first, first + window):
                if integers[k] >= 0:
                    x = arena[U(integers[k]) + n * source_step]
                    # A NaN enters and stays. Without a branch: it would be guessed wrong as often as not.
                    best = best if (x <= best) | (best != best) else x
            arena[target + n * step] = best


@part(error_model="numpy")
def _product(ops: Any, i: int, item: int, integers: Any, arena: Any) -> None:
    targets, left, right, count = U(ops[i, 2]), U(ops[i, 3]), U(ops[i, 4]), U(ops[i, 5])
    step, left_step, right_step = U(ops[i, 6]), U(ops[i, 7]), U(ops[i, 8])
    samples = U(ops[i, 9])
    begin = U(item * CHUNK)
    end = min(begin + U(CHUNK), count)
    for n in range(samples):
        to, one, other = n * step, n * left_step, n * right_step
        for e in range(begin, end):
            x, y = arena[U(integers[left + e]) + one], arena[U(integers[right + e]) + other]
            arena[U(integers[targets + e]) + to] = x * y
