"""The compiled interpreter: runs a program of operations on one arena of float32.

A program is data, so that one compilation, kept on disk, serves every model. Items of an operation write
to different places: results do not depend on the order or on the thread that they run on.
"""

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sim_compress.runtime.compiled.atomics import atomic_add, atomic_get, atomic_swap, wait
from sim_compress.runtime.compiled.elements import element_item
from sim_compress.runtime.compiled.operations import DenseRows, Halo, TiedSum
from sim_compress.runtime.compiled.sums import dense_rows_item, halo_item, tied_sum_item

VECTOR_CODE = {TiedSum.CODE: tied_sum_item, DenseRows.CODE: dense_rows_item, Halo.CODE: halo_item}
FIRST_ELEMENT_CODE = max(VECTOR_CODE) + 1

# A gate: whether it is open and how many helpers are inside, the operations to run, and for every
# operation the next item and the number of items done. Each number has a cache line of its own.
LINE = 8
STATE, BEGIN, END, FIRST_COUNTER = 0, LINE, 2 * LINE, 3 * LINE
OPEN, HELPER = 1, 2
# What a thread does in `run`.
ALONE, LEAD, SERVE = range(3)
# Rounds that a helper waits at a closed gate: some hundred microseconds.
ATTENDANCE = 4000
# Samples whose features are loaded side by side.
LOADED_SAMPLES = 16

# A type checker would take the compiled functions for plain ones.
_code: Any = intrinsic
_entry: Any = njit(nogil=True, cache=True, error_model="numpy")
_inner: Any = njit(nogil=True, error_model="numpy")
_pasted: Any = njit(nogil=True, error_model="numpy", inline="always")


@_code
def _vector_item(
    _: Any, arena: Any, integers: Any, floats: Any, masks: Any, ops: Any, _i: Any, _item: Any
) -> Any:
    """One item of operation i, which is written in LLVM."""

    def generate(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        *arrays, i, item = arguments
        made = [context.make_array(k)(context, b, a) for k, a in zip(signature.args, arrays, strict=False)]
        row = b.gep(made[-1].data, [b.mul(i, b.extract_value(made[-1].shape, 1))])
        passed = [*(array.data for array in made[:-1]), row, item]
        end = b.append_basic_block()
        choice = b.switch(b.load(row), end)
        for code, build in VECTOR_CODE.items():
            case = b.append_basic_block()
            choice.add_case(context.get_constant(types.int64, code), case)
            b.position_at_end(case)
            b.call(build(b.module), passed)
            b.branch(end)
        b.position_at_end(end)
        return context.get_dummy_value()

    return types.void(arena, integers, floats, masks, ops, types.int64, types.int64), generate


@_pasted
def _share(
    ops: Any,
    integers: Any,
    floats: Any,
    masks: Any,
    arena: Any,
    first: int,
    last: int,
    gate: Any,
    alone: bool,
) -> None:
    """Run operations; with others inside the gate each takes the next item that nobody has."""
    for i in range(first, last):
        following = FIRST_COUNTER + 2 * LINE * i
        done = following + LINE
        item = np.int64(-1)
        while True:
            item = item + 1 if alone else atomic_add(gate, following, 1)
            if item >= ops[i, 1]:
                break
            if ops[i, 0] < FIRST_ELEMENT_CODE:
                _vector_item(arena, integers, floats, masks, ops, i, item)
            else:
                element_item(ops, i, item, integers, floats, arena)
            if not alone:
                atomic_add(gate, done, 1)
        rounds = 0
        while not alone and atomic_get(gate, done) < ops[i, 1]:
            wait(rounds)
            rounds += 1


@_inner
def _open(gate: Any, first: int, last: int) -> None:
    """Let helpers in, to operations that nobody has begun."""
    for i in range(first, last):
        gate[FIRST_COUNTER + 2 * LINE * i] = gate[FIRST_COUNTER + 2 * LINE * i + LINE] = 0
    gate[BEGIN], gate[END] = first, last
    atomic_add(gate, STATE, OPEN)


@_inner
def _close(gate: Any) -> None:
    """Let nobody else in, and wait until the last helper is out."""
    atomic_add(gate, STATE, -OPEN)
    rounds = 0
    while atomic_get(gate, STATE) != 0:
        wait(rounds)
        rounds += 1


@_inner
def _enter(gate: Any) -> bool:
    """Go in as a helper; False when the gate stayed closed for a while."""
    for _ in range(ATTENDANCE):
        state = atomic_get(gate, STATE)
        if state & OPEN and atomic_swap(gate, STATE, state, state + HELPER):
            return True
        wait(0)
    return False


@_entry
def run(
    ops: Any, integers: Any, floats: Any, masks: Any, arena: Any, first: int, last: int, gate: Any, role: int
) -> None:
    """Run the operations first..last-1.

    ALONE: on this thread. LEAD: with the threads that serve the gate, if any come. SERVE: help whoever
    leads, again and again, until nobody does for a while; first and last are the leader's.
    """
    if role == LEAD:
        _open(gate, first, last)
    while role != SERVE or _enter(gate):
        if role == SERVE:
            first, last = gate[BEGIN], gate[END]
        _share(ops, integers, floats, masks, arena, first, last, gate, role == ALONE)
        if role != SERVE:
            break
        atomic_add(gate, STATE, -HELPER)
    if role == LEAD:
        _close(gate)


def new_gate(operations: int) -> NDArray[np.int64]:
    """A closed gate for a program."""
    return np.zeros(FIRST_COUNTER + 2 * LINE * max(1, operations), np.int64)


@_entry
def load(arena: Any, targets: Any, sources: Any, step: int, inputs: Any) -> None:
    """Copy inputs (samples, features) to their places."""
    # Some samples at a time: their rows and the places of one feature stay in cache together.
    for begin in range(0, inputs.shape[0], LOADED_SAMPLES):
        end = min(begin + LOADED_SAMPLES, inputs.shape[0])
        for e in range(len(targets)):
            for n in range(begin, end):
                arena[targets[e] + n * step] = inputs[n, sources[e]]


@_entry
def store(arena: Any, sources: Any, step: int, outputs: Any) -> None:
    """Copy outputs (samples, features) from their places."""
    for n in range(outputs.shape[0]):
        for e in range(outputs.shape[1]):
            outputs[n, e] = arena[sources[e] + n * step]


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
