"""LLVM code of products of two states: the scores of attention, and its weights times its values.

C[r, lanes] = sum_k A[r, k] B[k, lanes]        ROWS rows and SIDE vectors of lanes at a time, in registers

lanes are tokens      A[r, k] is a number for all lanes
lanes are samples     A[r, k] is a vector: every sample has its own
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.operations import MatrixProduct
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    HARDWARE,
    INT64,
    TABLES,
    WIDTH,
    ZERO,
    Loop,
    Tables,
    at,
    function,
    index,
    load,
    multiply_add,
    splat,
    store,
)

# Sums in registers: all of them, the vectors of B and one of A fit.
ROWS, SIDE = 4, HARDWARE.tile - 1 if HARDWARE.tile <= 3 else 4


def matrix_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): a tile of one group, all its rows."""
    *arguments, item = arguments
    tables = Tables(b, arguments, MatrixProduct)
    tiles = tables.field("tile_count")
    group = b.sdiv(item, tiles)
    entry = b.add(tables.field("tiles"), b.mul(b.srem(item, tiles), INT64(2)))
    first, size = tables.integer(entry), tables.integer(b.add(entry, INT64(1)))
    rows = tables.field("rows")
    several = Loop(b, b.sdiv(size, INT64(SIDE)), [first])
    _rows(tables, SIDE, several.carried[0], group, rows)
    (rest,) = several.leave([b.add(several.carried[0], INT64(SIDE))])
    single = Loop(b, b.srem(size, INT64(SIDE)), [rest])
    _rows(tables, 1, single.carried[0], group, rows)
    single.leave([b.add(single.carried[0], INT64(1))])


def _rows(tables: Tables, side: int, first: Any, group: Any, rows: Any) -> None:
    """All rows at some vectors: ROWS at a time, then one by one."""
    b = tables.b
    begin = INT64(0)
    for count, height in ((b.sdiv(rows, INT64(ROWS)), ROWS), (b.srem(rows, INT64(ROWS)), 1)):
        loop = Loop(b, count, [begin])
        end = b.append_basic_block()
        choice = b.switch(tables.field("apart"), end)
        for apart in (0, 1):
            case = b.append_basic_block()
            choice.add_case(INT64(apart), case)
            b.position_at_end(case)
            written = function(b.module, [*TABLES, INT64, INT64, INT64], _block, height, side, apart)
            b.call(written, [*tables.arguments, first, group, loop.carried[0]])
            b.branch(end)
        b.position_at_end(end)
        (begin,) = loop.leave([b.add(loop.carried[0], INT64(height))])


def _block(b: ir.IRBuilder, arguments: Sequence[Any], height: int, side: int, apart: int) -> None:
    """Function of (tables, first vector, group, first row): some rows at some vectors."""
    *arguments, first, group, row = arguments
    tables = Tables(b, arguments, MatrixProduct)
    lanes = at(b, tables.arena, b.mul(first, INT64(WIDTH)))
    inner = tables.field("inner")
    own_row = b.add(b.mul(group, tables.field("rows")), row)
    own_inner = b.mul(group, inner)
    numbers = at(b, tables.integers, b.add(tables.field("row_places"), own_row))
    a = [at(b, tables.arena, index(b, at(b, numbers, r))) for r in range(height)]
    places, sources = (
        at(b, tables.integers, b.add(tables.field(name), own_inner)) for name in ("inner_places", "sources")
    )
    loop = Loop(b, inner, [ZERO] * (height * side))
    k, sums = loop.round, list(loop.carried)
    source = at(b, lanes, index(b, at(b, sources, k)))
    vectors = [load(b, at(b, source, WIDTH * t), ALIGNED) for t in range(side)]
    shift = index(b, at(b, places, k))
    for r in range(height):
        place = at(b, a[r], shift)
        factor = load(b, place, ALIGNED) if apart else splat(b, b.load(place))
        for t in range(side):
            sums[r * side + t] = multiply_add(b, factor, vectors[t], sums[r * side + t])
    sums = loop.leave(sums)
    targets = at(b, tables.integers, b.add(tables.field("targets"), own_row))
    scale = splat(b, b.load(at(b, tables.floats, tables.field("factor"))))
    for r in range(height):
        target = at(b, lanes, index(b, at(b, targets, r)))
        for t in range(side):
            store(b, b.fmul(scale, sums[r * side + t]), at(b, target, WIDTH * t), ALIGNED)


_code = item_code(matrix_item)


@kernel(error_model="numpy")
def matrix_product(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a MatrixProduct."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {matrix_product: ARGUMENTS}
