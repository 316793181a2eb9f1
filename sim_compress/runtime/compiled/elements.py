"""Compiled code of the operations that go element by element; each function runs one item."""

import math
from typing import Any

import numpy as np
from numba import njit

from sim_compress.runtime.compiled.operations import (
    CHUNK,
    LEAKY_RELU,
    TANH,
    Gather,
    Maximum,
    Sums,
)

GATHER, SUMS, MAXIMUM = Gather.CODE, Sums.CODE, Maximum.CODE
# A type checker would take the compiled functions for plain ones.
_compiled: Any = njit(nogil=True, error_model="numpy")


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
        _componentwise(ops, i, item, integers, floats, arena)


@_compiled
def _gather(ops: Any, i: int, item: int, integers: Any, arena: Any) -> None:
    targets, sources, count = ops[i, 2], ops[i, 3], ops[i, 4]
    step, source_step, samples = ops[i, 5], ops[i, 6], ops[i, 7]
    begin = item * CHUNK
    for n in range(samples):
        for e in range(begin, min(begin + CHUNK, count)):
            arena[integers[targets + e] + n * step] = arena[integers[sources + e] + n * source_step]


@_compiled
def _sums(ops: Any, i: int, item: int, integers: Any, floats: Any, arena: Any) -> None:
    targets, pointers, sources, weights, constants = ops[i, 2], ops[i, 3], ops[i, 4], ops[i, 5], ops[i, 6]
    count, step, source_step, samples = ops[i, 7], ops[i, 8], ops[i, 9], ops[i, 10]
    begin = item * CHUNK
    for e in range(begin, min(begin + CHUNK, count)):
        target, first, last = integers[targets + e], integers[pointers + e], integers[pointers + e + 1]
        for n in range(samples):
            # In float64: a mean over an image would lose digits that numpy's pairwise sums keep.
            even, odd = np.float64(floats[constants + e]), 0.0
            for k in range(first, last - 1, 2):
                even += np.float64(floats[weights + k]) * arena[integers[sources + k] + n * source_step]
                odd += (
                    np.float64(floats[weights + k + 1]) * arena[integers[sources + k + 1] + n * source_step]
                )
            if (last - first) % 2:
                k = last - 1
                even += np.float64(floats[weights + k]) * arena[integers[sources + k] + n * source_step]
            arena[target + n * step] = np.float32(even + odd)


@_compiled
def _maximum(ops: Any, i: int, item: int, integers: Any, arena: Any) -> None:
    targets, sources, window, count = ops[i, 2], ops[i, 3], ops[i, 4], ops[i, 5]
    step, source_step, samples = ops[i, 6], ops[i, 7], ops[i, 8]
    begin = item * CHUNK
    for e in range(begin, min(begin + CHUNK, count)):
        target, first = integers[targets + e], sources + e * window
        for n in range(samples):
            best = np.float32(-np.inf)
            for k in range(first, first + window):
                if integers[k] >= 0:
                    x = arena[integers[k] + n * source_step]
                    # A comparison with NaN is false: a NaN enters and stays.
                    if not x <= best:
                        best = x if best == best else best
            arena[target + n * step] = best


@_compiled
def _componentwise(ops: Any, i: int, item: int, integers: Any, floats: Any, arena: Any) -> None:
    targets, count, step, samples = ops[i, 2], ops[i, 3], ops[i, 4], ops[i, 5]
    phi, parameters = ops[i, 6], ops[i, 7]
    begin = item * CHUNK
    for n in range(samples):
        for e in range(begin, min(begin + CHUNK, count)):
            place = integers[targets + e] + n * step
            z = arena[place]
            if phi == LEAKY_RELU:
                x = z if z > 0 else z * floats[parameters]
            elif phi == TANH:
                x = np.float32(math.tanh(z))
            else:
                x = np.float32(0.5) * (np.float32(math.tanh(np.float32(0.5) * z)) + np.float32(1))
            arena[place] = x
