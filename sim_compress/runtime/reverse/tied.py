"""Compiled sums of tied rows over features that a table names, and their gradients."""

from typing import Any

import numpy as np
from numba import types

from sim_compress.compilation import kernel
from sim_compress.runtime.reverse import plain
from sim_compress.runtime.reverse.tied_code import (
    LANES,
    ROWS,
    SHARED_TILE,
    TILE,
    deep_position,
    deep_tile,
    flat_position,
    flat_tile,
    rectified_position,
    shared_position,
    shared_tile,
    sum_position,
    sum_tile,
)


@kernel(without=plain.add_rows, error_model="numpy")
def add_rows(
    indptr: Any,
    columns: Any,
    values: Any,
    shared: Any,
    table: Any,
    x: Any,
    z: Any,
    start: Any,
    rectify: bool,
) -> None:
    """z += rows times features.

    Args:
        indptr, columns, values: the nonzeros of the rows, as in a CSR matrix.
        shared: for every ROWS rows whether all have the same columns.
        table: (features, positions), the entry of x that each is.
        x: (entries, LANES).
        z: (rows, positions, LANES).
        start: (rows,) what z is set to before, or without entries where it stays.
        rectify: whether z becomes max(z, 0) afterwards: while it is in cache that is nearly free.
    """
    arrays = columns, values, table, x, z
    rows, width = len(indptr) - 1, table.shape[1]
    # A group of positions at a time, for all rows: what they read stays in cache.
    for first in range(0, width, TILE):
        last = min(first + TILE, width)
        if len(start):
            for r in range(rows):
                z[r, first:last] = start[r]
        for r in range(rows):
            place, begin, end = r * width * LANES, np.int64(indptr[r]), np.int64(indptr[r + 1])
            if shared[r // ROWS]:
                p = first if r % ROWS == 0 else last
                while p + SHARED_TILE <= last:
                    shared_tile(arrays, p, place + p * LANES, begin, end)
                    p += SHARED_TILE
                while p < last:
                    shared_position(arrays, p, place + p * LANES, begin, end)
                    p += 1
            elif last - first == TILE:
                sum_tile(arrays, first, place + first * LANES, begin, end)
            else:
                for p in range(first, last):
                    sum_position(arrays, p, place + p * LANES, begin, end)
        if rectify:
            for r in range(rows):
                for p in range(first, last):
                    rectified_position(arrays, p, (r * width + p) * LANES, 0, 0)


@kernel(without=plain.add_gradients, error_model="numpy")
def add_gradients(
    indptr: Any, columns: Any, values: Any, table: Any, x: Any, dz: Any, dvalues: Any, dx: Any
) -> None:
    """dvalues and dx += gradients, from those of z.

    Args:
        dz: (rows, positions, LANES).
        dvalues: (nonzeros, WIDTH), parts of each sum.
        dx: (entries, LANES), or without entries where it is not asked for.
    """
    arrays = columns, values, table, x, dz, dvalues, dx
    rows, width, deep = len(indptr) - 1, table.shape[1], len(dx) > 0
    for first in range(0, width, TILE):
        last = min(first + TILE, width)
        for r in range(rows):
            place, begin, end = r * width * LANES, np.int64(indptr[r]), np.int64(indptr[r + 1])
            if last - first == TILE and deep:
                deep_tile(arrays, first, place + first * LANES, begin, end)
            elif last - first == TILE:
                flat_tile(arrays, first, place + first * LANES, begin, end)
            else:
                for p in range(first, last):
                    if deep:
                        deep_position(arrays, p, place + p * LANES, begin, end)
                    else:
                        flat_position(arrays, p, place + p * LANES, begin, end)


@kernel(without=plain.weighted_difference, error_model="numpy")
def weighted_difference(one: Any, other: Any, weight: Any, target: Any) -> None:
    """target = weight (one - other), all (entries, LANES)."""
    for i in range(len(one)):
        for lane in range(LANES):
            target[i, lane] = weight * (one[i, lane] - other[i, lane])


_INTEGERS, _FLOATS = types.Array(types.int32, 1, "C"), types.Array(types.float32, 1, "C")
_TABLE, _MATRIX = types.Array(types.int32, 2, "C"), types.Array(types.float32, 2, "C")
_ROWS, _FLAGS = types.Array(types.float32, 3, "C"), types.Array(types.boolean, 1, "C")
ENTRIES = {
    add_rows: (_INTEGERS, _INTEGERS, _FLOATS, _FLAGS, _TABLE, _MATRIX, _ROWS, _FLOATS, types.boolean),
    weighted_difference: (_MATRIX, _MATRIX, types.float32, _MATRIX),
    add_gradients: (_INTEGERS, _INTEGERS, _FLOATS, _TABLE, _MATRIX, _ROWS, _MATRIX, _MATRIX),
}
