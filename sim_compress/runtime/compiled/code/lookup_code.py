"""LLVM code of tables: the row of each id goes to where its token lies, a number in every channel."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.operations import LookedUp
from sim_compress.runtime.compiled.code.vectors import FLOAT, INT64, Loop, Tables, at

# Tokens of an item.
SHARE = 16


def lookup_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): some tokens of one sample."""
    *arguments, item = arguments
    tables = Tables(b, arguments, LookedUp)
    count, size, columns = (tables.field(name) for name in ("count", "size", "columns"))
    parts = b.sdiv(b.add(count, INT64(SHARE - 1)), INT64(SHARE))
    sample, begin = b.sdiv(item, parts), b.mul(b.srem(item, parts), INT64(SHARE))
    left = b.sub(count, begin)
    own = b.select(b.icmp_signed("<", INT64(SHARE), left), INT64(SHARE), left)
    table = b.inttoptr(tables.field("table"), FLOAT.as_pointer())
    ids = at(b, tables.arena, b.mul(sample, tables.field("source_step")))
    target = at(b, tables.arena, b.mul(sample, tables.field("step")))
    loop = Loop(b, own, [])
    token = b.add(begin, loop.round)
    number = b.load(at(b, ids, tables.integer(b.add(tables.field("ids"), token))))
    row = _within(b, b.fptosi(number, INT64), size)
    read = at(b, table, b.mul(row, columns))
    written = at(b, target, tables.integer(b.add(tables.field("targets"), token)))
    inner = Loop(b, columns, [read, written])
    read, written = inner.carried
    b.store(b.load(read), written)
    inner.leave([at(b, read, 1), at(b, written, tables.field("plane"))])
    loop.leave([])


def _within(b: ir.IRBuilder, row: Any, size: Any) -> Any:
    """A row of the table: ids below 0 count from the end. What has no row was refused before the call."""
    whole = b.select(b.icmp_signed("<", row, INT64(0)), b.add(row, size), row)
    last = b.sub(size, INT64(1))
    low = b.select(b.icmp_signed("<", whole, INT64(0)), INT64(0), whole)
    return b.select(b.icmp_signed(">", low, last), last, low)


_code = item_code(lookup_item)


@kernel(error_model="numpy")
def looked_up(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a LookedUp."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {looked_up: ARGUMENTS}
