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
    lanes,
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
    case_of = b.add(size, b.mul(tables.field("close"), INT64(TILE)))
    end = b.append_basic_block()
    choice = b.switch(case_of, end)
    for close in (0, 1):
        for vectors in range(1, TILE + 1):
            case = b.append_basic_block()
            choice.add_case(INT64(vectors + TILE * close), case)
            b.position_at_end(case)
            written = function(b.module, [*TABLES, INT64, INT64], _tile, vectors, close)
            b.call(written, [*tables.arguments, first, b.srem(item, parts)])
            b.branch(end)
    b.position_at_end(end)


def _tile(b: ir.IRBuilder, arguments: Sequence[Any], vectors: int, close: int) -> None:
    """Function of (tables, first position, part): z and phi of a part of the rows."""
    *arguments, first, part = arguments
    tables = Tables(b, arguments, PhasedSum)
    share, rows = tables.field("share"), tables.field("rows")
    begin = b.mul(part, share)
    left = b.sub(rows, begin)
    own = b.select(b.icmp_signed("<", share, left), share, left)
    phases, plane = tables.field("phases"), tables.field("plane")
    target = at(b, tables.arena, b.add(tables.field("target"), b.mul(begin, plane)))
    bias = at(b, tables.floats, b.add(tables.field("bias"), begin))
    starts = at(b, tables.integers, b.add(tables.field("starts"), b.mul(part, phases)))
    counts = at(b, tables.integers, b.add(tables.field("counts"), begin))
    writes = at(b, tables.integers, b.add(tables.field("writes"), first))
    outer = Loop(b, phases, [counts])
    phase = outer.round
    start = index(b, at(b, starts, phase))
    stream = (
        at(b, tables.integers, b.add(tables.field("offsets"), start)),
        at(b, tables.floats, b.add(tables.field("values"), start)),
    )
    reads = b.add(tables.integer(b.add(tables.field("segments"), phase)), first)
    x = _vectors(b, tables.arena, at(b, tables.integers, reads), vectors, close)
    is_first = b.icmp_signed("==", phase, INT64(0))
    is_last = b.icmp_signed("==", b.add(phase, INT64(1)), phases)
    inner = Loop(b, own, [target, bias, outer.carried[0], *stream])
    row, its_bias, its_count, offsets, values = inner.carried
    count = index(b, its_count)
    # A row without nonzeros in a phase is left alone, but it begins and ends like all others.
    needed = b.or_(b.icmp_signed("!=", count, INT64(0)), b.or_(is_first, is_last))
    work = Choice(b, needed, [])
    y = _vectors(b, row, writes, vectors, close)
    began = Choice(b, b.not_(is_first), [splat(b, b.load(its_bias))] * vectors)
    sums = began.leave([load(b, place, ALIGNED) for place in y])
    sums = _nonzeros(b, x, (offsets, values), count, sums, chains(vectors) if close else 1)
    ended = Choice(b, is_last, sums)
    sums = ended.leave(_states(tables, first, sums))
    for place, z in zip(y, sums, strict=True):
        store(b, z, place, ALIGNED)
    work.leave([])
    following = [at(b, pointer, count) for pointer in (offsets, values)]
    inner.leave([at(b, row, plane), at(b, its_bias, 1), at(b, its_count, 1), *following])
    outer.leave([at(b, outer.carried[0], rows)])


def _vectors(b: ir.IRBuilder, first: Any, table: Any, vectors: int, close: int) -> list[Any]:
    """Pointers to the vectors of a tile, side by side or each where the table has it."""
    if close:
        begin = at(b, first, index(b, table))
        return [at(b, begin, WIDTH * t) for t in range(vectors)]
    return [at(b, first, index(b, at(b, table, t))) for t in range(vectors)]


def _states(tables: Tables, first: Any, sums: list[Any]) -> list[Any]:
    """phi of the sums, zero in lanes that hold nothing where convolutions read them as padding."""
    b = tables.b
    states = apply_phi(b, sums, at(b, tables.floats, tables.field("phi")))
    mask = tables.field("masks")
    masked = Choice(b, b.icmp_signed(">=", mask, INT64(0)), states)
    own = at(b, tables.masks, b.add(mask, first))
    kept = [lanes(b, b.load(at(b, own, t))) for t in range(len(sums))]
    return masked.leave([b.select(k, x, ZERO) for k, x in zip(kept, states, strict=True)])


def _nonzeros(
    b: ir.IRBuilder, x: list[Any], stream: tuple[Any, Any], count: Any, sums: list[Any], side: int
) -> list[Any]:
    """The sums with all nonzeros of a row in a phase: some side by side, then those that are left."""
    vectors = len(sums)
    whole = count if side == 1 else b.sdiv(count, INT64(side))
    state = [*stream, *sums, *[ZERO] * (vectors * (side - 1))]
    state = _side_by_side(b, x, whole, state, side)
    sums = state[2 : 2 + vectors]
    for chain in range(1, side):
        own = state[2 + chain * vectors :][:vectors]
        sums = [b.fadd(one, other) for one, other in zip(sums, own, strict=True)]
    if side > 1:
        rest = b.sub(count, b.mul(whole, INT64(side)))
        sums = _side_by_side(b, x, rest, [*state[:2], *sums], 1)[2:]
    return sums


def _side_by_side(b: ir.IRBuilder, x: list[Any], rounds: Any, state: list[Any], side: int) -> list[Any]:
    loop = Loop(b, rounds, state)
    offsets, values, *sums = loop.carried
    for chain in range(side):
        offset = index(b, at(b, offsets, chain))
        weight = splat(b, b.load(at(b, values, chain)))
        for t, first in enumerate(x):
            place = chain * len(x) + t
            sums[place] = multiply_add(b, weight, load(b, at(b, first, offset), ALIGNED), sums[place])
    return loop.leave([at(b, offsets, side), at(b, values, side), *sums])


_code = item_code(phased_item)


@kernel(error_model="numpy")
def phased_sum(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a PhasedSum."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {phased_sum: ARGUMENTS}
