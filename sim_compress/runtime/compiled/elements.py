"""Compiled code of the operations that go element by element; each function runs one item.

Places are unsigned: numba would ask of every signed one whether it counts from the end.
"""

from typing import Any

import numpy as np
from numba import njit

from sim_compress.runtime.compiled.operations import (
    CHUNK,
    Gather,
    Maximum,
    Sums,
)

GATHER, SUMS, MAXIMUM = Gather.CODE, Sums.CODE, Maximum.CODE
# A type checker would take the compiled functions for plain ones.
_compiled: Any = njit(nogil=True, error_model="numpy")
U = np.uint64
ONE, TWO, THREE, FOUR = U(1), U(2), U(3), U(4)


@_compiled
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


@_compiled
def _gather(ops: Any, i: int, item: int, integers: Any, arena: Any) -> None:
    targets, sources, count = U(ops[i, 2]), U(ops[i, 3]), U(ops[i, 4])
    step, source_step, samples = U(ops[i, 5]), U(ops[i, 6]), U(ops[i, 7])
    begin = U(item * CHUNK)
    end = min(begin + U(CHUNK), count)
    for n in range(samples):
        to, source = n * step, n * source_step
        for e in range(begin, end):
            arena[U(integers[targets + e]) + to] = arena[U(integers[sources + e]) + source]


@_compiled
def _sums(ops: Any, i: int, item: int, integers: Any, floats: Any, arena: Any) -> None:
    """In float64: a mean over an image would lose digits that numpy's pairwise sums keep.

    Four sums side by side, of four samples while there are so many: one alone waits for itself.
    """
    targets, pointers = U(ops[i, 2]), U(ops[i, 3])
    sources, weights, constants = U(ops[i, 4]), U(ops[i, 5]), U(ops[i, 6])
    count, share, step, source_step = U(ops[i, 7]), U(ops[i, 8]), U(ops[i, 9]), U(ops[i, 10])
    samples = U(ops[i, 11])
    begin = U(item) * share
    for e in range(begin, min(begin + share, count)):
        target, constant = U(integers[targets + e]), np.float64(floats[constants + e])
        first, last = U(integers[pointers + e]), U(integers[pointers + e + ONE])
        n = U(0)
        while n + FOUR <= samples:
            a = b = c = d = constant
            for k in range(first, last):
                w, x = np.float64(floats[weights + k]), U(integers[sources + k]) + n * source_step
                a += w * arena[x]
                b += w * arena[x + source_step]
                c += w * arena[x + TWO * source_step]
                d += w * arena[x + THREE * source_step]
            z = target + n * step
            arena[z], arena[z + step] = np.float32(a), np.float32(b)
            arena[z + TWO * step], arena[z + THREE * step] = np.float32(c), np.float32(d)
            n += FOUR
        while n < samples:
            arena[target + n * step] = _sum(
                integers, floats, arena, constant, first, last, weights, sources, n * source_step
            )
            n += ONE


@_compiled
def _sum(
    integers: Any,
    floats: Any,
    arena: Any,
    constant: float,
    first: Any,
    last: Any,
    weights: Any,
    sources: Any,
    shift: Any,
) -> Any:
    """One element of one sample."""
    a, b, c, d = constant, 0.0, 0.0, 0.0
    k = first
    while k + FOUR <= last:
        w, x = weights + k, sources + k
        a += np.float64(floats[w]) * arena[U(integers[x]) + shift]
        b += np.float64(floats[w + ONE]) * arena[U(integers[x + ONE]) + shift]
        c += np.float64(floats[w + TWO]) * arena[U(integers[x + TWO]) + shift]
        d += np.float64(floats[w + THREE]) * arena[U(integers[x + THREE]) + shift]
        k += FOUR
    while k < last:
        a += np.float64(floats[weights + k]) * arena[U(integers[sources + k]) + shift]
        k += ONE
    return np.float32((a + b) + (c + d))


@_compiled
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
                    # A comparison with NaN is false: a NaN enters and stays.
                    if not x <= best:
                        best = x if best == best else best
            arena[target + n * step] = best


@_compiled
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
