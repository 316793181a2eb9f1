"""LLVM code of tied rows whose columns come in phases:

    for each phase of columns, for each row:    z[r, tile] += sum_k value[k] * x[offset[k] + tile]

    tile     one vector after the other, at most TILE of them, in registers over the nonzeros of a row
    phase    columns whose tiles fill most of the first cache: they are read once for every row

The sums of a row wait in the target between two phases. With few vectors in a tile several nonzeros are
summed side by side: a multiply-add takes longer than it takes to begin the next. A nonzero costs a number,
its offset, and a multiply-add for each vector.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.operations import PhasedSum
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    INT64,
    TABLES,
    WIDTH,
    ZERO,
    Choice,
    Loop,
    Tables,
    apply_phi,
    at,
    function,
    index,
    load,
    multiply_add,
    splat,
    store,
)

# Vectors of a tile. More have shown no gain, fewer read a nonzero for less work.
TILE = 8
# Sums side by side: multiply-adds under way at the same time on processors of today.
SUMS = 8


def chains(vectors: int) -> int:
    """Nonzeros that a tile of so many vectors takes side by side: 1, 2 or 4."""
    return 1 if vectors > SUMS // 2 else 2 if vectors > SUMS // 4 else 4


def phased_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): one tile for some of the rows."""
    *arguments, item = arguments
    tables = Tables(b, arguments, PhasedSum)
    parts = tables.field("parts")
    entry = b.add(tables.field("tiles"), b.mul(b.sdiv(item, parts), INT64(2)))
    first, size = tables.integer(entry), tables.integer(b.add(entry, INT64(1)))
    end = b.append_basic_block()
    choice = b.switch(size, end)
    for vectors in range(1, TILE + 1):
        case = b.append_basic_block()
        choice.add_case(INT64(vectors), case)
        b.position_at_end(case)
        written = function(b.module, [*TABLES, INT64, INT64], _tile, vectors)
        b.call(written, [*tables.arguments, first, b.srem(item, parts)])
        b.branch(end)
    b.position_at_end(end)


def _tile(b: ir.IRBuilder, arguments: Sequence[Any], vectors: int) -> None:
    """Function of (tables, first vector, part): z and phi of a part of the rows."""
    *arguments, first, part = arguments
    tables = Tables(b, arguments, PhasedSum)
    shift = b.mul(first, INT64(WIDTH))
    x = at(b, tables.arena, shift)
    share, rows = tables.field("share"), tables.field("rows")
    begin = b.mul(part, share)
    left = b.sub(rows, begin)
    own = b.select(b.icmp_signed("<", share, left), share, left)
    phases, plane = tables.field("phases"), tables.field("plane")
    target = at(b, x, b.add(tables.field("target"), b.mul(begin, plane)))
    bias = at(b, tables.floats, b.add(tables.field("bias"), begin))
    starts = at(b, tables.integers, b.add(tables.field("starts"), b.mul(part, phases)))
    counts = at(b, tables.integers, b.add(tables.field("counts"), begin))
    outer = Loop(b, phases, [counts])
    phase = outer.round
    start = index(b, at(b, starts, phase))
    offsets = at(b, tables.integers, b.add(tables.field("offsets"), start))
    values = at(b, tables.floats, b.add(tables.field("values"), start))
    is_first = b.icmp_signed("==", phase, INT64(0))
    is_last = b.icmp_signed("==", b.add(phase, INT64(1)), phases)
    inner = Loop(b, own, [target, bias, outer.carried[0], offsets, values])
    y, its_bias, its_count, offsets, values = inner.carried
    count = index(b, its_count)
    # A row without nonzeros in a phase is left alone, but it begins and ends like all others.
    needed = b.or_(b.icmp_signed("!=", count, INT64(0)), b.or_(is_first, is_last))
    work = Choice(b, needed, [])
    began = Choice(b, b.not_(is_first), [splat(b, b.load(its_bias))] * vectors)
    sums = began.leave([load(b, at(b, y, WIDTH * t), ALIGNED) for t in range(vectors)])
    sums = _nonzeros(b, x, (offsets, values), count, sums)
    ended = Choice(b, is_last, sums)
    sums = ended.leave(apply_phi(b, sums, at(b, tables.floats, tables.field("phi"))))
    for t, z in enumerate(sums):
        store(b, z, at(b, y, WIDTH * t), ALIGNED)
    work.leave([])
    inner.leave(
        [
            at(b, y, plane),
            at(b, its_bias, 1),
            at(b, its_count, 1),
            at(b, offsets, count),
            at(b, values, count),
        ]
    )
    outer.leave([at(b, outer.carried[0], rows)])


def _nonzeros(b: ir.IRBuilder, x: Any, stream: tuple[Any, Any], count: Any, sums: list[Any]) -> list[Any]:
    """The sums with all nonzeros of a row in a phase: some side by side, then those that are left."""
    vectors, side = len(sums), chains(len(sums))
    whole = b.sdiv(count, INT64(side))
    state = [*stream, *sums, *[ZERO] * (vectors * (side - 1))]
    state = _side_by_side(b, x, whole, state, vectors, side)
    sums = state[2 : 2 + vectors]
    for chain in range(1, side):
        own = state[2 + chain * vectors :][:vectors]
        sums = [b.fadd(one, other) for one, other in zip(sums, own, strict=True)]
    if side > 1:
        rest = b.sub(count, b.mul(whole, INT64(side)))
        sums = _side_by_side(b, x, rest, [*state[:2], *sums], vectors, 1)[2:]
    return sums


def _side_by_side(
    b: ir.IRBuilder, x: Any, rounds: Any, state: list[Any], vectors: int, side: int
) -> list[Any]:
    loop = Loop(b, rounds, state)
    offsets, values, *sums = loop.carried
    for chain in range(side):
        source = at(b, x, index(b, at(b, offsets, chain)))
        weight = splat(b, b.load(at(b, values, chain)))
        for t in range(vectors):
            place = chain * vectors + t
            sums[place] = multiply_add(b, weight, load(b, at(b, source, WIDTH * t), ALIGNED), sums[place])
    return loop.leave([at(b, offsets, side), at(b, values, side), *sums])


_code = item_code(phased_item)


@kernel(error_model="numpy")
def phased_sum(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a PhasedSum."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {phased_sum: ARGUMENTS}
