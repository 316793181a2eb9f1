"""LLVM code of max pooling on vectors: a window of a channel is some vectors, whatever lies in the lanes.

x[c, p] = max over k of z[c, read[p] + window[k]]
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.elementary_code import constant
from sim_compress.runtime.compiled.code.operations import Pooled
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    INT64,
    ZERO,
    Loop,
    Tables,
    at,
    lanes,
    load,
    store,
)

# Channels of an item.
SHARE = 8


def pooling_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): all positions of some channels."""
    *arguments, item = arguments
    tables = Tables(b, arguments, Pooled)
    begin = b.mul(item, INT64(SHARE))
    left = b.sub(tables.field("channels"), begin)
    count = b.select(b.icmp_signed("<", INT64(SHARE), left), INT64(SHARE), left)
    planes = tables.field("source_plane"), tables.field("plane")
    firsts = [
        at(b, tables.arena, b.add(tables.field(name), b.mul(begin, plane)))
        for name, plane in zip(("source", "target"), planes, strict=True)
    ]
    channel = Loop(b, count, firsts)
    source, target = channel.carried
    position = Loop(b, tables.field("positions"), [])
    p = position.round
    read = at(b, source, tables.integer(b.add(tables.field("reads"), p)))
    window = Loop(b, tables.field("window"), [constant(float("-inf"))])
    (best,) = window.carried
    x = load(b, at(b, read, tables.integer(b.add(tables.field("windows"), window.round))), ALIGNED)
    # A NaN enters and stays.
    more = b.select(b.fcmp_ordered(">", x, best), x, best)
    (best,) = window.leave([b.select(b.fcmp_unordered("uno", x, x), x, more)])
    kept = lanes(b, b.load(at(b, tables.masks, b.add(tables.field("mask"), p))))
    place = at(b, target, tables.integer(b.add(tables.field("writes"), p)))
    store(b, b.select(kept, best, ZERO), place, ALIGNED)
    position.leave([])
    channel.leave([at(b, first, plane) for first, plane in zip(channel.carried, planes, strict=True)])


_code = item_code(pooling_item)


@kernel(error_model="numpy")
def pooled(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a Pooled."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {pooled: ARGUMENTS}
