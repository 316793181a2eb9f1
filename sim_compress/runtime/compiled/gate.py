"""How threads share the items of a program: a gate that helpers come in by, and shares of every operation."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim_compress.runtime.compiled.atomics import atomic_add, atomic_get, atomic_swap, wait

# A gate: whether it is open and how many helpers are inside, the operations to run, the number of threads.
# Then for every thread and operation the next item of its share and the number of items it has done; the
# numbers of one thread lie together, because a cache line that two threads write goes back and forth.
LINE = 8
STATE, BEGIN, END, THREADS, FIRST_COUNTER = 0, LINE, LINE + 1, LINE + 2, 2 * LINE
OPEN, HELPER = 1, 2
# Rounds that a helper waits at a closed gate: some hundred microseconds.
ATTENDANCE = 10000
# A type checker would take the compiled functions for plain ones.
_inner: Any = njit(nogil=True, error_model="numpy")


def new_gate(operations: int, threads: int) -> NDArray[np.int64]:
    """A closed gate for a program and so many threads, the leader among them."""
    stride = -(-2 * operations // LINE) * LINE + LINE
    gate = np.zeros(FIRST_COUNTER + threads * stride, np.int64)
    gate[THREADS] = threads
    return gate


@_inner
def _counter(gate: Any, thread: int, i: int) -> int:
    """Where a thread's next item of operation i is; the number of items it has done follows."""
    stride = (len(gate) - FIRST_COUNTER) // gate[THREADS]
    return FIRST_COUNTER + thread * stride + 2 * i


@_inner
def claim(gate: Any, thread: int, i: int, items: int) -> int:
    """An item of operation i that nobody has, of the thread's own share first; -1 when there is none.

    Every operation is shared out alike: what a thread reads is mostly what it wrote before.
    """
    threads = gate[THREADS]
    for other in range(thread, thread + threads):
        owner = other % threads
        counter, end = _counter(gate, owner, i), (owner + 1) * items // threads
        if atomic_get(gate, counter) < end:
            item = atomic_add(gate, counter, 1)
            if item < end:
                return item
    return -1


@_inner
def wait_for_all(gate: Any, i: int, items: int) -> None:
    """Wait until every item of operation i is done."""
    rounds = 0
    while True:
        done = 0
        for thread in range(gate[THREADS]):
            done += atomic_get(gate, _counter(gate, thread, i) + 1)
        if done >= items:
            return
        wait(rounds)
        rounds += 1


@_inner
def open_gate(gate: Any, ops: Any, first: int, last: int) -> None:
    """Let helpers in, to operations that nobody has begun."""
    threads = gate[THREADS]
    for thread in range(threads):
        for i in range(first, last):
            counter = _counter(gate, thread, i)
            gate[counter], gate[counter + 1] = thread * ops[i, 1] // threads, 0
    gate[BEGIN], gate[END] = first, last
    atomic_add(gate, STATE, OPEN)


@_inner
def close_gate(gate: Any) -> None:
    """Let nobody else in, and wait until the last helper is out."""
    atomic_add(gate, STATE, -OPEN)
    rounds = 0
    while atomic_get(gate, STATE) != 0:
        wait(rounds)
        rounds += 1


@_inner
def enter(gate: Any) -> bool:
    """Go in as a helper; False when the gate stayed closed for a while."""
    for _ in range(ATTENDANCE):
        state = atomic_get(gate, STATE)
        if state & OPEN and atomic_swap(gate, STATE, state, state + HELPER):
            return True
        wait(0)
    return False


@_inner
def leave(gate: Any) -> None:
    """Go out again."""
    atomic_add(gate, STATE, -HELPER)


@_inner
def finish(gate: Any, thread: int, i: int) -> None:
    """An item of operation i is done."""
    atomic_add(gate, _counter(gate, thread, i) + 1, 1)
