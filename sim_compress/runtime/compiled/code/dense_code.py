"""LLVM code of rows without positions: a vector of rows times one state after the other."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.runtime.compiled.code.operations import DenseRows
from sim_compress.runtime.compiled.code.vectors import (
    INT64,
    UNALIGNED,
    WIDTH,
    ZERO,
    Loop,
    Tables,
    apply_phi,
    at,
    index,
    load,
    multiply_add,
    splat,
    store,
)

# Independent sums of a dense row: enough to hide the latency of a multiply-add.
CHAINS = 4


def dense_rows_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): a vector of rows, sample after sample."""
    *arguments, item = arguments
    tables = Tables(b, arguments, DenseRows)
    block = b.add(tables.field("blocks"), b.mul(item, INT64(3)))
    offsets, values, columns = (tables.integer(b.add(block, INT64(i))) for i in range(3))
    row = b.mul(item, INT64(WIDTH))
    samples = Loop(b, tables.field("samples"), [])
    n = samples.round
    x = at(b, tables.arena, b.mul(n, tables.field("source_step")))
    target = b.add(b.add(tables.field("target"), row), b.mul(n, tables.field("step")))
    bias = load(b, at(b, tables.floats, b.add(tables.field("bias"), row)), UNALIGNED)
    state = [at(b, tables.integers, offsets), at(b, tables.floats, values), bias, *[ZERO] * (CHAINS - 1)]
    for chains, count in ((CHAINS, b.sdiv(columns, INT64(CHAINS))), (1, b.srem(columns, INT64(CHAINS)))):
        state = _dense_columns(b, chains, count, state, x)
    total = b.fadd(b.fadd(state[2], state[3]), b.fadd(state[4], state[5]))
    total = _without_strangers(b, total, bias, state[:2], columns, x)
    (result,) = apply_phi(b, [total], at(b, tables.floats, tables.field("phi")))
    store(b, result, at(b, tables.arena, target), UNALIGNED)
    samples.leave([])


def _dense_columns(b: ir.IRBuilder, chains: int, count: Any, state: list[Any], x: Any) -> list[Any]:
    """Columns times their broadcast state, into one sum after the other."""
    loop = Loop(b, count, state)
    offsets, values, *sums = loop.carried
    for i in range(chains):
        value = splat(b, b.load(at(b, x, index(b, at(b, offsets, i)))))
        weights = load(b, at(b, values, i * WIDTH), UNALIGNED)
        sums[i] = multiply_add(b, weights, value, sums[i])
    return loop.leave([at(b, offsets, chains), at(b, values, chains * WIDTH), *sums])


def _without_strangers(b: ir.IRBuilder, total: Any, bias: Any, ends: list[Any], columns: Any, x: Any) -> Any:
    """The sums, made again where one is NaN: an infinite state reaches only the rows that have it.

    A row without an entry has met it with a weight of 0, which makes NaN of an infinity.
    """
    unclear = b.fcmp_unordered("uno", total, total)
    again = b.icmp_unsigned("!=", b.bitcast(unclear, ir.IntType(WIDTH)), ir.IntType(WIDTH)(0))
    offsets, values = at(b, ends[0], b.neg(columns)), at(b, ends[1], b.mul(columns, INT64(-WIDTH)))
    loop = Loop(b, b.select(again, columns, INT64(0)), [offsets, values, b.select(again, bias, total)])
    offsets, values, total = loop.carried
    weights = load(b, values, UNALIGNED)
    more = multiply_add(b, weights, splat(b, b.load(at(b, x, index(b, offsets)))), total)
    total = b.select(b.fcmp_unordered("une", weights, ZERO), more, total)
    return loop.leave([at(b, offsets, 1), at(b, values, WIDTH), total])[2]
