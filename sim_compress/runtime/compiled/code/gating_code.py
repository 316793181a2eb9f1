"""LLVM code of products of two values, vector by vector: gates, and factors of whole channels."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.operations import Gated
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    INT64,
    WIDTH,
    Loop,
    Tables,
    at,
    load,
    splat,
    store,
)

# Channels of an item.
SHARE = 8
# What is multiplied with: a value of the same positions, one number, or one vector, of a channel.
VALUE, NUMBER, VECTOR = range(3)


def gating_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): all positions of some channels."""
    *arguments, item = arguments
    tables = Tables(b, arguments, Gated)
    begin = b.mul(item, INT64(SHARE))
    left = b.sub(tables.field("channels"), begin)
    count = b.select(b.icmp_signed("<", INT64(SHARE), left), INT64(SHARE), left)
    end = b.append_basic_block()
    choice = b.switch(tables.field("kind"), end)
    for kind in (VALUE, NUMBER, VECTOR):
        case = b.append_basic_block()
        choice.add_case(INT64(kind), case)
        b.position_at_end(case)
        _channels(tables, begin, count, kind)
        b.branch(end)
    b.position_at_end(end)


def _channels(tables: Tables, begin: Any, count: Any, kind: int) -> None:
    b = tables.b
    channel = Loop(b, count, [])
    number = b.add(begin, channel.round)
    value, factor, target = (
        at(b, tables.arena, tables.integer(b.add(tables.field(name), number)))
        for name in ("values", "factors", "targets")
    )
    whole = {NUMBER: lambda: splat(b, b.load(factor)), VECTOR: lambda: load(b, factor, ALIGNED)}
    factors = whole[kind]() if kind in whole else None
    run = Loop(b, tables.field("tile_count"), [])
    entry = b.add(tables.field("tiles"), b.mul(run.round, INT64(2)))
    first, size = tables.integer(entry), tables.integer(b.add(entry, INT64(1)))
    inner = Loop(b, size, [])
    shift = b.mul(b.add(first, inner.round), INT64(WIDTH))
    other = factors or load(b, at(b, factor, shift), ALIGNED)
    product = b.fmul(load(b, at(b, value, shift), ALIGNED), other)
    store(b, product, at(b, target, shift), ALIGNED)
    inner.leave([])
    run.leave([])
    channel.leave([])


_code = item_code(gating_item)


@kernel(error_model="numpy")
def gated(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a Gated."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {gated: ARGUMENTS}
