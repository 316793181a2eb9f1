"""LLVM code of halos: whole vectors, shifted by lanes, copied from the neighbouring patches."""

from typing import Any

from llvmlite import ir

from sim_compress.runtime.compiled.operations import Halo
from sim_compress.runtime.compiled.vectors import (
    ALIGNED,
    INT64,
    TABLES,
    UNALIGNED,
    ZERO,
    Loop,
    Tables,
    at,
    function,
    index,
    lanes,
    load,
    store,
)


def halo_item(module: ir.Module) -> Any:
    """Function of (tables, item): the halo of some channels."""
    made, b = function(module, "sim_compress_halo", [*TABLES, INT64])
    *arguments, item = made.args
    tables = Tables(b, arguments, Halo)
    share, plane = tables.field("share"), tables.field("plane")
    begin = b.mul(item, share)
    left = b.sub(tables.field("channels"), begin)
    channels = b.select(b.icmp_signed("<", share, left), share, left)
    first = at(b, tables.arena, b.add(tables.field("target"), b.mul(begin, plane)))
    copy_halo(tables, first, INT64(0), tables.field("entries"), plane, channels)
    b.ret_void()
    return made


def copy_halo(tables: Tables, first: Any, entry: Any, entries: Any, plane: Any, channels: Any) -> None:
    """Copy whole vectors shifted by lanes, in all channels."""
    b = tables.b
    table = at(b, tables.integers, b.add(tables.field("halo"), b.mul(entry, INT64(2))))
    masks = at(b, tables.masks, b.add(tables.field("halo_masks"), entry))
    loop = Loop(b, entries, [table, masks])
    table, masks = loop.carried
    kept = lanes(b, b.load(masks))
    inner = Loop(b, channels, [at(b, first, index(b, at(b, table, i))) for i in range(2)])
    target, source = inner.carried
    store(b, b.select(kept, load(b, source, UNALIGNED), ZERO), target, ALIGNED)
    inner.leave([at(b, target, plane), at(b, source, plane)])
    loop.leave([at(b, table, 2), at(b, masks, 1)])
