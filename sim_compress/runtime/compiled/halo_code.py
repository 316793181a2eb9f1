"""LLVM code of halos: whole vectors, shifted by lanes, copied from the neighbouring patches."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.runtime.compiled.operations import Halo
from sim_compress.runtime.compiled.vectors import (
    INT64,
    TABLES,
    UNALIGNED,
    WIDTH,
    Loop,
    Tables,
    at,
    function,
    index,
    lanes,
    load,
    store_some,
)


def halo_item(module: ir.Module) -> Any:
    """Function of (tables, item): the halo of some channels of a band."""
    made, b = function(module, "sim_compress_halo", [*TABLES, INT64])
    *arguments, item = made.args
    tables = Tables(b, arguments, Halo)
    share, parts = tables.field("share"), tables.field("parts")
    begin = b.mul(b.srem(item, parts), share)
    left = b.sub(tables.field("channels"), begin)
    channels = b.select(b.icmp_signed("<", share, left), share, left)
    ends = [channels_of(tables, end, begin) for end in (("target", "plane"), ("source", "source_plane"))]
    edge = b.add(tables.field("edges"), b.sdiv(item, parts))
    copy_vectors(tables, edge, ("halo", "halo_masks"), ends, channels)
    b.ret_void()
    return made


def channels_of(tables: Tables, fields: tuple[str, str], channel: Any) -> tuple[Any, Any]:
    """Pointer to a channel of a value, from the fields of its first vector and plane; floats of a plane."""
    first, plane = map(tables.field, fields)
    b = tables.b
    return tables.vector(b.add(first, b.mul(channel, plane))), b.mul(plane, INT64(WIDTH))


def copy_vectors(
    tables: Tables, edge: Any, fields: tuple[str, str], ends: Sequence[tuple[Any, Any]], channels: Any
) -> None:
    """Copy vectors, some shifted by lanes, in all channels.

    The other lanes are left: they are zero from the start, or another band fills them at the same time.

    Args:
        edge: place of the number of the first entry; the end follows.
        fields: those of the entries and of their masks.
        ends: pointer to the first channel and floats from one channel to the next, of target and source.
    """
    b = tables.b
    entry = tables.integer(edge)
    entries = b.sub(tables.integer(b.add(edge, INT64(1))), entry)
    pairs, masks = map(tables.field, fields)
    table = at(b, tables.integers, b.add(pairs, b.mul(entry, INT64(2))))
    loop = Loop(b, entries, [table, at(b, tables.masks, b.add(masks, entry))])
    table, masks = loop.carried
    kept = lanes(b, b.load(masks))
    firsts = [at(b, first, index(b, at(b, table, i))) for i, (first, _) in enumerate(ends)]
    inner = Loop(b, channels, firsts)
    target, source = inner.carried
    store_some(b, load(b, source, UNALIGNED), target, kept)
    inner.leave([at(b, p, step) for p, (_, step) in zip(inner.carried, ends, strict=True)])
    loop.leave([at(b, table, 2), at(b, masks, 1)])
