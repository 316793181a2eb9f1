"""LLVM code of tied rows at tiles of positions:

    z[r, tile] = sum_k value[k] * x[offset[k] + tile]

is formed for ROWS rows and a tile of vectors at once, in registers over all nonzeros of the block.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from sim_compress.runtime.compiled.code.halo_code import copy_vectors, planes, take_targets
from sim_compress.runtime.compiled.code.operations import TiedSum
from sim_compress.runtime.compiled.code.rounds import COUNTS, ONES, ROWS, SEVERAL, TWOS, Round
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    INT32,
    INT64,
    TABLES,
    TILE,
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


def tied_sum_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): one tile for some row blocks, then what neighbours need of it."""
    *arguments, item = arguments
    tables = Tables(b, arguments, TiedSum)
    parts, share = tables.field("parts"), tables.field("item_blocks")
    tile = b.sdiv(item, parts)
    begin = b.mul(b.srem(item, parts), share)
    left = b.sub(tables.field("blocks"), begin)
    blocks = b.select(b.icmp_signed("<", share, left), share, left)
    entry = b.add(tables.field("tiles"), b.mul(tile, INT64(2)))
    first, size = tables.integer(entry), tables.integer(b.add(entry, INT64(1)))
    rows = b.mul(begin, INT64(ROWS)), b.mul(blocks, INT64(ROWS))
    value = planes(tables, tables.field("halo_target"), b.mul(tables.field("plane"), INT64(WIDTH)), rows[0])
    posts = planes(tables, tables.field("post_target"), tables.field("post_plane"), rows[0])
    _where_wanted(
        tables, "post_edges", tile, lambda edge: take_targets(tables, edge, "posts", posts, rows[1])
    )
    end = b.append_basic_block()
    choice = b.switch(size, end)
    for positions in range(1, TILE + 1):
        case = b.append_basic_block()
        choice.add_case(INT64(positions), case)
        b.position_at_end(case)
        written = function(b.module, [*TABLES, INT64, INT64, INT64], _tile, positions)
        b.call(written, [*tables.arguments, first, begin, blocks])
        b.branch(end)
    b.position_at_end(end)
    for edges, fields, target in (
        ("edges", ("halo", "halo_masks"), value),
        ("post_edges", ("posts", "post_masks"), posts),
    ):
        ends = target, value
        _where_wanted(
            tables, edges, tile, lambda edge, f=fields, e=ends: copy_vectors(tables, edge, f, e, rows[1])
        )


def _where_wanted(tables: Tables, edges: str, tile: Any, build: Callable[[Any], None]) -> None:
    """Code for a tile's entries, given the place of their edge, where the operation has such entries."""
    b, first = tables.b, tables.field(edges)
    wanted = Choice(b, b.icmp_signed(">=", first, INT64(0)), [])
    build(b.add(first, tile))
    wanted.leave([])


def _tile(b: ir.IRBuilder, arguments: Sequence[Any], positions: int) -> None:
    """Function of (tables, first position, first block, blocks): z and phi at so many positions."""
    *arguments, first, begin, blocks = arguments
    tables = Tables(b, arguments, TiedSum)
    loop = Loop(b, blocks, [])
    block = b.add(begin, loop.round)
    bias = at(b, tables.floats, b.add(tables.field("bias"), b.mul(block, INT64(ROWS))))
    sums = [splat(b, b.load(at(b, bias, r))) for r in range(ROWS) for _ in range(positions)]
    start = b.add(tables.field("starts"), b.mul(block, INT64(2)))
    offsets = at(b, tables.integers, tables.integer(start))
    values = at(b, tables.floats, tables.integer(b.add(start, INT64(1))))
    segments = tables.field("segments")
    place = b.mul(b.mul(block, segments), INT64(COUNTS))
    counts = at(b, tables.integers, b.add(tables.field("counts"), place))
    reads = at(b, tables.integers, tables.field("reads"))
    parts = Loop(b, segments, [counts, reads, offsets, values, *sums])
    counts, reads, *state = parts.carried
    table = at(b, tables.integers, b.add(index(b, reads), first))
    x = [tables.vector(index(b, at(b, table, t))) for t in range(positions)]
    state = _rounds(b, counts, state, x)
    done = parts.leave([at(b, counts, COUNTS), at(b, reads, 1), *state])
    _store(tables, done[4:], first, block)
    loop.leave([])


def _rounds(b: ir.IRBuilder, counts: Any, state: list[Any], x: list[Any]) -> list[Any]:
    """All nonzeros of one segment; state is [offsets, values, sums...]."""
    single = (*TWOS, *ONES)
    for place, columns in enumerate(single):
        state = _loop(b, columns, b.load(at(b, counts, place)), state, x)
    several = Choice(b, b.icmp_signed(">", b.load(at(b, counts, len(single))), INT32(0)), state)
    for place, columns in enumerate(SEVERAL, len(single) + 1):
        state = _loop(b, columns, b.load(at(b, counts, place)), state, x)
    return several.leave(state)


def _loop(b: ir.IRBuilder, columns: Round, count: Any, state: list[Any], x: list[Any]) -> list[Any]:
    """All rounds of one loop."""
    own = [2 + r * len(x) + t for rows in columns for r in rows for t in range(len(x))]
    loop = Loop(b, count, [state[0], state[1], *(state[i] for i in own)])
    offsets, values, *sums = loop.carried
    value = 0
    for column, rows in enumerate(columns):
        offset = b.mul(index(b, at(b, offsets, column)), INT64(WIDTH))
        weights = [splat(b, b.load(at(b, values, value + i))) for i in range(len(rows))]
        for t, first in enumerate(x):
            vector = load(b, at(b, first, offset), ALIGNED)
            for i, weight in enumerate(weights):
                place = (value + i) * len(x) + t
                sums[place] = multiply_add(b, vector, weight, sums[place])
        value += len(rows)
    after = loop.leave([at(b, offsets, len(columns)), at(b, values, value), *sums])
    changed = dict(zip([0, 1, *own], after, strict=True))
    return [changed.get(i, old) for i, old in enumerate(state)]


def _store(tables: Tables, sums: list[Any], first: Any, block: Any) -> None:
    """phi of the sums where there is a pixel, zero elsewhere: convolutions read it as padding."""
    b, positions = tables.b, len(sums) // ROWS
    states = apply_phi(b, sums, at(b, tables.floats, tables.field("phi")))
    plane = tables.field("plane")
    row = b.mul(b.mul(block, INT64(ROWS)), plane)
    target = tables.vector(b.add(tables.field("target"), row))
    writes = at(b, tables.integers, b.add(tables.field("writes"), first))
    masks = at(b, tables.masks, b.add(tables.field("masks"), first))
    for t in range(positions):
        kept = lanes(b, b.load(at(b, masks, t)))
        vector = index(b, at(b, writes, t))
        for r in range(ROWS):
            place = b.mul(b.add(vector, b.mul(plane, INT64(r))), INT64(WIDTH))
            store(b, b.select(kept, states[r * positions + t], ZERO), at(b, target, place), ALIGNED)
