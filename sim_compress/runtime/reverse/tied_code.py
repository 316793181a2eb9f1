"""LLVM code of tied rows and their gradients, for a tile of positions and all lanes at once.

    z[r, p] += sum_k value[k] x[table[column[k], p]]        k: the nonzeros of row r

A position's samples lie side by side, LANES of them; `table` says which entry of x a feature is at a
position.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    INT64,
    WIDTH,
    ZERO,
    Loop,
    at,
    function,
    index,
    larger,
    load,
    multiply_add,
    splat,
    store,
)

# Samples side by side, the same number on every processor: it decides how sums are grouped.
LANES = 32
VECTORS = LANES // WIDTH
# Positions of a tile: their sums stay in registers.
TILE = max(1, 8 // VECTORS)
# Rows with the same columns that are summed together, and positions of their tile.
ROWS = 4 if WIDTH == 16 else 2
SHARED_TILE = max(1, TILE // 2)


def _tile(b: ir.IRBuilder, z: Any, positions: int) -> list[Any]:
    """Pointers to the vectors of neighbouring positions."""
    return [at(b, z, i * WIDTH) for i in range(positions * VECTORS)]


def _entries(b: ir.IRBuilder, x: Any, places: Any, positions: int) -> list[Any]:
    """Pointers to the vectors of the entries that a part of the table names."""
    first = [b.mul(index(b, at(b, places, t)), INT64(LANES)) for t in range(positions)]
    return [at(b, x, b.add(place, INT64(v * WIDTH))) for place in first for v in range(VECTORS)]


def _forward(b: ir.IRBuilder, arguments: Sequence[Any], rows: int, positions: int) -> None:
    """Function of (columns, values, table, width, x, z, begin, end): adds to a tile of z.

    begin..end - 1 are the nonzeros of the first of so many rows; the others have the same columns.
    """
    columns, values, table, width, x, z, begin, end = arguments
    count = b.sub(end, begin)
    firsts = [at(b, z, b.mul(width, INT64(r * LANES))) for r in range(rows)]
    targets = [place for first in firsts for place in _tile(b, first, positions)]
    loop = Loop(b, count, [load(b, place, ALIGNED) for place in targets])
    k = b.add(begin, loop.round)
    weights = [splat(b, b.load(at(b, values, b.add(k, b.mul(count, INT64(r)))))) for r in range(rows)]
    places = at(b, table, b.mul(index(b, at(b, columns, k)), width))
    read = [load(b, place, ALIGNED) for place in _entries(b, x, places, positions)]
    pairs = [(v, weight) for weight in weights for v in read]
    sums = [multiply_add(b, v, weight, s) for (v, weight), s in zip(pairs, loop.carried, strict=True)]
    for place, total in zip(targets, loop.leave(sums), strict=True):
        store(b, total, place, ALIGNED)


def _rectified(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of the same arguments: one position of z becomes max(z, 0)."""
    for place in _tile(b, arguments[5], 1):
        store(b, larger(b, ZERO, load(b, place, ALIGNED)), place, ALIGNED)


def _backward(b: ir.IRBuilder, arguments: Sequence[Any], positions: int, deep: bool) -> None:
    """Function of (columns, values, table, width, x, dz, begin, end, dvalues, dx): adds to dvalues and dx."""
    columns, values, table, width, x, dz, begin, end, dvalues, dx = arguments
    gradient = [load(b, place, ALIGNED) for place in _tile(b, dz, positions)]
    loop = Loop(b, b.sub(end, begin), [])
    k = b.add(begin, loop.round)
    places = at(b, table, b.mul(index(b, at(b, columns, k)), width))
    own = at(b, dvalues, b.mul(k, INT64(WIDTH)))
    total = load(b, own, ALIGNED)
    for place, g in zip(_entries(b, x, places, positions), gradient, strict=True):
        total = multiply_add(b, load(b, place, ALIGNED), g, total)
    store(b, total, own, ALIGNED)
    if deep:
        value = splat(b, b.load(at(b, values, k)))
        # One after the other: two positions may read the same entry.
        for place, g in zip(_entries(b, dx, places, positions), gradient, strict=True):
            store(b, multiply_add(b, value, g, load(b, place, ALIGNED)), place, ALIGNED)
    loop.leave([])


def _tiles(write: Callable[..., None], *parameters: int) -> Any:
    """What numba code calls: (columns, values, table, x, z, [dvalues, dx,] first, place, begin, end).

    `first` is the tile's first position, `place` where it begins in z, begin..end - 1 are the row's nonzeros.
    """

    def generate(context: Any, b: ir.IRBuilder, signature: Any, passed: Any) -> Any:
        arrays = [
            context.make_array(kind)(context, b, b.extract_value(passed[0], i))
            for i, kind in enumerate(signature.args[0])
        ]
        columns, values, table, x, z, *gradients = (array.data for array in arrays)
        width = b.extract_value(arrays[2].shape, 1)
        first, place, begin, end = passed[1:]
        own = [columns, values, at(b, table, first), width, x, at(b, z, place), begin, end, *gradients]
        b.call(function(b.module, [a.type for a in own], write, *parameters), own)
        return context.get_dummy_value()

    @intrinsic
    def tile(_: Any, arrays: Any, first: Any, place: Any, begin: Any, end: Any) -> Any:
        return types.void(arrays, first, place, begin, end), generate

    made: Any = tile
    return made


sum_tile, sum_position = (_tiles(_forward, 1, n) for n in (TILE, 1))
shared_tile, shared_position = (_tiles(_forward, ROWS, n) for n in (SHARED_TILE, 1))
rectified_position = _tiles(_rectified)
deep_tile, deep_position = (_tiles(_backward, n, True) for n in (TILE, 1))
flat_tile, flat_position = (_tiles(_backward, n, False) for n in (TILE, 1))
