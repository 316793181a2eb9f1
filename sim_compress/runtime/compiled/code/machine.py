"""The compiled interpreter: runs a program of operations on one arena of float32.

A program is data, so that one compilation, kept on disk, serves every model. Items of an operation write
to different places: results do not depend on the order or on the thread that they run on.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from sim_compress.compilation import inlined, kernel
from sim_compress.runtime.compiled.code.calls import call_item
from sim_compress.runtime.compiled.code.dense_code import dense_rows_item
from sim_compress.runtime.compiled.code.elements import FOUR, ONE, THREE, TWO, U, element_item
from sim_compress.runtime.compiled.code.halo_code import halo_item
from sim_compress.runtime.compiled.code.operations import DenseRows, Halo, Product, TiedSum
from sim_compress.runtime.compiled.code.tied_code import tied_sum_item
from sim_compress.runtime.compiled.code.vectors import INT64, TABLES, function
from sim_compress.runtime.compiled.threads.gate import (
    BEGIN,
    END,
    claim,
    close_gate,
    done_before,
    enter,
    leave,
    left_to_readers,
    open_gate,
    owner_of,
    publish,
    wait_or_claim,
)

VECTOR_CODE = {TiedSum.CODE: tied_sum_item, DenseRows.CODE: dense_rows_item, Halo.CODE: halo_item}
FIRST_ELEMENT_CODE, LAST_ELEMENT_CODE = max(VECTOR_CODE) + 1, Product.CODE
HALO_PARTS = Halo.place("parts")

# Threads of `run`; helpers have numbers from 1.
ALONE, LEADER = -1, 0

# A type checker would take the intrinsic for a plain function.
_code: Any = intrinsic


@_code
def _vector_item(
    _: Any, arena: Any, integers: Any, floats: Any, masks: Any, ops: Any, _i: Any, _item: Any
) -> Any:
    """One item of operation i, which is written in LLVM; its code may be compiled apart."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        *arrays, i, item = arguments
        made = [context.make_array(k)(context, b, a) for k, a in zip(signature.args, arrays, strict=False)]
        row = b.gep(made[-1].data, [b.mul(i, b.extract_value(made[-1].shape, 1))])
        passed = [*(array.data for array in made[:-1]), row, item]
        end, apart = b.append_basic_block(), b.append_basic_block()
        choice = b.switch(b.load(row), apart)
        for code, write in VECTOR_CODE.items():
            case = b.append_basic_block()
            choice.add_case(context.get_constant(types.int64, code), case)
            b.position_at_end(case)
            b.call(function(b.module, [*TABLES, INT64], write), passed)
            b.branch(end)
        b.position_at_end(apart)
        call_item(context, b, passed)
        b.branch(end)
        b.position_at_end(end)
        return context.get_dummy_value()

    return types.void(arena, integers, floats, masks, ops, types.int64, types.int64), generate


@inlined(error_model="numpy")
def _share(
    ops: Any,
    integers: Any,
    floats: Any,
    masks: Any,
    arena: Any,
    first: int,
    last: int,
    gate: Any,
    thread: int,
) -> None:
    """Run operations, alone or together with the others at the gate.

    Where each thread's share is a band, it fetches the halo of its band first, without waiting for others; so
    does who takes over some of a share: the copies are the same however often they are made.
    """
    alone = thread == ALONE
    done = np.int64(0) if alone else done_before(gate, thread)
    due = np.int64(0)
    for i in range(first, last):
        if not alone and i + 1 < last and left_to_readers(gate, i):
            continue
        fetching = not alone and i > first and left_to_readers(gate, i - 1)
        fetched = np.int64(-1)
        items = ops[i, 1]
        due += items
        item = np.int64(-1)
        while True:
            item = item + 1 if alone else claim(gate, thread, i)
            if not alone and item < 0:
                publish(gate, thread, done)
                item = wait_or_claim(gate, thread, i, due)
            if item < 0 or item >= items:
                break
            halos = 0
            if fetching and fetched != owner_of(gate, i, item):
                fetched, halos = owner_of(gate, i, item), ops[i - 1, HALO_PARTS]
            for part in range(halos + 1):
                op, own = (i, item) if part == halos else (i - 1, fetched * halos + part)
                if FIRST_ELEMENT_CODE <= ops[op, 0] <= LAST_ELEMENT_CODE:
                    element_item(ops, op, own, integers, floats, arena)
                else:
                    _vector_item(arena, integers, floats, masks, ops, op, own)
            done += 1


@kernel(error_model="numpy")
def run(
    ops: Any,
    integers: Any,
    floats: Any,
    masks: Any,
    arena: Any,
    first: int,
    last: int,
    gate: Any,
    thread: int,
) -> None:
    """Run the operations first..last-1.

    Thread ALONE does it all; LEADER shares with the threads that serve the gate, if any come. Another
    number serves: it helps the leader, again and again, until nobody leads for a while; its own first
    and last do not matter.
    """
    serving = thread > LEADER
    if thread == LEADER:
        open_gate(gate, first, last)
    while not serving or enter(gate):
        if serving:
            first, last = gate[BEGIN], gate[END]
        _share(ops, integers, floats, masks, arena, first, last, gate, thread)
        if not serving:
            break
        leave(gate)
    if thread == LEADER:
        close_gate(gate)


@kernel(error_model="numpy")
def load(arena: Any, targets: Any, sources: Any, step: int, inputs: Any) -> None:
    """Copy inputs (samples, features) to their places."""
    distance, n, samples = U(step), U(0), U(inputs.shape[0])
    # Four samples at a time: lanes of the same vectors, and the places are read once.
    while n + FOUR <= samples:
        a, b, c, d = inputs[n], inputs[n + ONE], inputs[n + TWO], inputs[n + THREE]
        for e in range(U(len(targets))):
            target, source = U(targets[e]) + n * distance, U(sources[e])
            arena[target], arena[target + distance] = a[source], b[source]
            arena[target + TWO * distance], arena[target + THREE * distance] = c[source], d[source]
        n += FOUR
    while n < samples:
        row, shift = inputs[n], n * distance
        for e in range(U(len(targets))):
            arena[U(targets[e]) + shift] = row[U(sources[e])]
        n += ONE


@kernel(error_model="numpy")
def store(arena: Any, sources: Any, step: int, outputs: Any) -> None:
    """Copy outputs (samples, features) from their places."""
    for n in range(U(outputs.shape[0])):
        row, shift = outputs[n], n * U(step)
        for e in range(U(outputs.shape[1])):
            row[e] = arena[U(sources[e]) + shift]


# What every entry gets first: ops, integers, floats, masks, arena.
_TABLES = (
    types.Array(types.int64, 2, "C"),
    types.Array(types.int32, 1, "C"),
    types.Array(types.float32, 1, "C"),
    types.Array(types.int16, 1, "C"),
    types.Array(types.float32, 1, "C"),
)
_ARENA, _INDICES, _GATE = _TABLES[-1], _TABLES[1], types.Array(types.int64, 1, "C")
# A caller's inputs may be read-only.
_INPUTS, _OUTPUTS = (types.Array(types.float32, 2, "C", readonly=r) for r in (True, False))
ENTRIES: dict[Any, tuple[Any, ...]] = {
    run: (*_TABLES, types.int64, types.int64, _GATE, types.int64),
    load: (_ARENA, _INDICES, _INDICES, types.int64, _INPUTS),
    store: (_ARENA, _INDICES, types.int64, _OUTPUTS),
}
