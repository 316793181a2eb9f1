"""LLVM code of softmax and norms over channels: every lane is a token, or a sample, of its own.

No sum goes across lanes. A group of channels is passed over three times: for its largest or its mean, for its
sum of exponentials or squares, and to be written.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.elementary_code import constant, exponential
from sim_compress.runtime.compiled.code.elementwise_code import root
from sim_compress.runtime.compiled.code.operations import Normalisation
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    FLOAT,
    INT64,
    TABLES,
    WIDTH,
    ZERO,
    Loop,
    Tables,
    at,
    function,
    load,
    multiply_add,
    splat,
    store,
)

KINDS = ("softmax", "layer_norm", "rms_norm")
# Vectors side by side: a sum waits for its last addition.
SIDE = 4


def normalising_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): a tile of one group."""
    *arguments, item = arguments
    tables = Tables(b, arguments, Normalisation)
    tiles = tables.field("tile_count")
    group = b.sdiv(item, tiles)
    entry = b.add(tables.field("tiles"), b.mul(b.srem(item, tiles), INT64(2)))
    first, size = tables.integer(entry), tables.integer(b.add(entry, INT64(1)))
    whole = b.sdiv(size, INT64(SIDE))
    several = Loop(b, whole, [first])
    _call(tables, SIDE, several.carried[0], group)
    (rest,) = several.leave([b.add(several.carried[0], INT64(SIDE))])
    single = Loop(b, b.srem(size, INT64(SIDE)), [rest])
    _call(tables, 1, single.carried[0], group)
    single.leave([b.add(single.carried[0], INT64(1))])


def _call(tables: Tables, vectors: int, first: Any, group: Any) -> None:
    b = tables.b
    end = b.append_basic_block()
    choice = b.switch(tables.field("kind"), end)
    for number, write in enumerate((_softmax, _norm, _norm)):
        case = b.append_basic_block()
        choice.add_case(INT64(number), case)
        b.position_at_end(case)
        centred = int(KINDS[number] == "layer_norm")
        written = function(b.module, [*TABLES, INT64, INT64], write, vectors, centred)
        b.call(written, [*tables.arguments, first, group])
        b.branch(end)
    b.position_at_end(end)


class _Group:
    """The channels of a group, at some vectors."""

    def __init__(self, b: ir.IRBuilder, arguments: Sequence[Any], vectors: int) -> None:
        *arguments, first, group = arguments
        self.b, self.vectors = b, vectors
        self.tables = Tables(b, arguments, Normalisation)
        self._x = at(b, self.tables.arena, b.mul(first, INT64(WIDTH)))
        self.count = self.tables.field("count")
        self._first = b.mul(group, self.count)
        parameters = at(b, self.tables.floats, self.tables.field("parameters"))
        self.scale, self.epsilon = (splat(b, b.load(at(b, parameters, i))) for i in range(2))

    def place(self, field: str, channel: Any) -> Any:
        """Pointer to a channel's first vector."""
        entry = self.b.add(self.tables.field(field), self.b.add(self._first, channel))
        return at(self.b, self._x, self.tables.integer(entry))

    def read(self, field: str, channel: Any) -> list[Any]:
        place = self.place(field, channel)
        return [load(self.b, at(self.b, place, WIDTH * t), ALIGNED) for t in range(self.vectors)]

    def write(self, channel: Any, values: list[Any]) -> None:
        place = self.place("targets", channel)
        for t, value in enumerate(values):
            store(self.b, value, at(self.b, place, WIDTH * t), ALIGNED)


def _softmax(b: ir.IRBuilder, arguments: Sequence[Any], vectors: int, _: int) -> None:
    own = _Group(b, arguments, vectors)
    loop = Loop(b, own.count, [constant(float("-inf"))] * vectors)
    z = [b.fmul(own.scale, v) for v in own.read("sources", loop.round)]
    # A NaN must stay: whoever compares with it keeps it.
    kept = [
        b.select(b.fcmp_unordered(">", v, most), v, most) for v, most in zip(z, loop.carried, strict=True)
    ]
    largest = loop.leave(kept)
    loop = Loop(b, own.count, [ZERO] * vectors)
    z = [b.fmul(own.scale, v) for v in own.read("sources", loop.round)]
    powers = [exponential(b, b.fsub(v, most)) for v, most in zip(z, largest, strict=True)]
    own.write(loop.round, powers)
    sums = loop.leave([b.fadd(s, p) for s, p in zip(loop.carried, powers, strict=True)])
    parts = [b.fdiv(constant(1.0), s) for s in sums]
    loop = Loop(b, own.count, [])
    own.write(loop.round, [b.fmul(v, p) for v, p in zip(own.read("targets", loop.round), parts, strict=True)])
    loop.leave([])


def _norm(b: ir.IRBuilder, arguments: Sequence[Any], vectors: int, centred: int) -> None:
    own = _Group(b, arguments, vectors)
    share = b.fdiv(ir.Constant(FLOAT, 1.0), b.sitofp(own.count, FLOAT))
    means = [ZERO] * vectors
    if centred:
        loop = Loop(b, own.count, means)
        read = own.read("sources", loop.round)
        sums = loop.leave([b.fadd(s, v) for s, v in zip(loop.carried, read, strict=True)])
        means = [b.fmul(s, splat(b, share)) for s in sums]
    loop = Loop(b, own.count, [ZERO] * vectors)
    apart = [b.fsub(v, m) for v, m in zip(own.read("sources", loop.round), means, strict=True)]
    squares = loop.leave([multiply_add(b, d, d, s) for d, s in zip(apart, loop.carried, strict=True)])
    roots = [root(b, multiply_add(b, s, splat(b, share), own.epsilon)) for s in squares]
    parts = [b.fdiv(constant(1.0), r) for r in roots]
    loop = Loop(b, own.count, [])
    read = own.read("sources", loop.round)
    own.write(loop.round, [b.fmul(b.fsub(v, m), p) for v, m, p in zip(read, means, parts, strict=True)])
    loop.leave([])


_code = item_code(normalising_item)


@kernel(error_model="numpy")
def normalisation(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of a Normalisation."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {normalisation: ARGUMENTS}
