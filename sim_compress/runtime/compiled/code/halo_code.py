"""LLVM code of halos: whole vectors, shifted by lanes, copied from the neighbouring patches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from llvmlite import ir

from sim_compress.runtime.compiled.code.operations import Halo
from sim_compress.runtime.compiled.code.vectors import (
    INT64,
    Loop,
    Tables,
    at,
    index,
    lanes,
    load_shifted,
    store_some,
    take_over,
)


def halo_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): the halo of some channels of a band."""
    *arguments, item = arguments
    tables = Tables(b, arguments, Halo)
    share, parts = tables.field("share"), tables.field("parts")
    begin = b.mul(b.srem(item, parts), share)
    left = b.sub(tables.field("channels"), begin)
    channels = b.select(b.icmp_signed("<", share, left), share, left)
    fields = ("target", "plane"), ("source", "source_plane")
    ends = [planes(tables, tables.field(first), tables.field(plane), begin) for first, plane in fields]
    edge = b.add(tables.field("edges"), b.sdiv(item, parts))
    copy_vectors(tables, edge, ("halo", "halo_masks"), ends, channels)


class Planes(NamedTuple):
    """The channels of a value.

    Attributes:
        first: pointer to the first one.
        plane: floats from one to the next.
    """

    first: Any
    plane: Any


def planes(tables: Tables, vector: Any, plane: Any, channel: Any) -> Planes:
    """Those from a channel on, given the vector where the first one begins."""
    b = tables.b
    return Planes(at(b, tables.vector(vector), b.mul(channel, plane)), plane)


def copy_vectors(
    tables: Tables, edge: Any, fields: tuple[str, str], ends: Sequence[Planes], channels: Any
) -> None:
    """Copy vectors, some shifted by lanes, in all channels.

    The other lanes are left: they are zero from the start, or another band fills them at the same time.

    Args:
        edge: place of the number of the first entry; the end follows.
        fields: those of the entries and of their masks.
        ends: target and source.
    """
    b = tables.b
    loop, entry, move = _entries(tables, edge, fields[0])
    kept = lanes(b, b.load(at(b, tables.masks, b.add(tables.field(fields[1]), entry))))
    firsts = [at(b, end.first, index(b, at(b, move, i))) for i, end in enumerate(ends)]
    shift = index(b, at(b, move, 2))
    inner = Loop(b, channels, firsts)
    target, source = inner.carried
    store_some(b, load_shifted(b, source, shift), target, kept)
    inner.leave([at(b, p, end.plane) for p, end in zip(inner.carried, ends, strict=True)])
    loop.leave([])


def take_targets(tables: Tables, edge: Any, field: str, target: Planes, channels: Any) -> None:
    """Begin to fetch the lines that `copy_vectors` will write."""
    b = tables.b
    loop, _, move = _entries(tables, edge, field)
    inner = Loop(b, channels, [at(b, target.first, index(b, move))])
    take_over(b, inner.carried[0])
    inner.leave([at(b, inner.carried[0], target.plane)])
    loop.leave([])


def _entries(tables: Tables, edge: Any, field: str) -> tuple[Loop, Any, Any]:
    """A loop over the entries of a part: the loop, the number of an entry, and its move."""
    b = tables.b
    first = tables.integer(edge)
    loop = Loop(b, b.sub(tables.integer(b.add(edge, INT64(1))), first), [])
    entry = b.add(first, loop.round)
    return loop, entry, at(b, tables.integers, b.add(tables.field(field), b.mul(entry, INT64(3))))
