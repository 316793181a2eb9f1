"""How threads share the items of a program: a gate that helpers come in by, and shares of every operation.

A cache line that two threads write goes back and forth between them. So each thread counts what it has
begun and what it has done in lines of its own, says what it has done when its share of an operation is
done, and looks at what others have begun only when they seem to be held up.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.compilation import part
from sim_compress.runtime.compiled.code.operations import Halo, TiedSum
from sim_compress.runtime.compiled.threads.atomics import (
    atomic_add,
    atomic_get,
    atomic_set,
    atomic_swap,
    pause,
)
from sim_compress.runtime.compiled.threads.sleeping import sleep, wake

# Numbers in a cache line and its neighbour, which processors fetch with it.
LINE = 16
# A gate: whether it is open and how many helpers are inside; the operations to run, the number of threads,
# numbers from one thread to the next; how often something changed that others may sleep for, how many sleep,
# and for how many rounds a helper stays at the closed gate. Then for every thread the number of items it has
# done, and for each operation the next item of its share and the end of the share. At last, for each
# operation, whether its readers do it.
STATE, BEGIN, END, THREADS, STRIDE, READERS = 0, *range(LINE, LINE + 5)
CHANGES, SLEEPING, ATTENDANCE = range(2 * LINE, 2 * LINE + 3)
FIRST_THREAD = 3 * LINE
OPEN, HELPER = 1, 2
# Rounds after which a thread is held up, and after which who waits for it goes to sleep: some microseconds.
HELD_UP, PATIENCE = 300, 500
# Nothing to do yet.
NOTHING = -2


def new_gate(ops: NDArray[np.int64], threads: int) -> NDArray[np.int64]:
    """A closed gate for the operations of a program and so many threads, the leader among them."""
    operations = -(-len(ops) // LINE) * LINE
    stride = LINE + 2 * operations
    readers = FIRST_THREAD + threads * stride
    raw = np.zeros(readers + operations + LINE, np.int64)
    skipped = -raw.ctypes.data // raw.itemsize % LINE
    gate = raw[skipped : skipped + readers + operations]
    gate[[THREADS, STRIDE, READERS]] = threads, stride, readers
    for thread in range(threads):
        ends = FIRST_THREAD + thread * stride + LINE + operations
        gate[ends : ends + len(ops)] = (thread + 1) * ops[:, 1] // threads
    gate[readers : readers + len(ops)] = _left_to_readers(ops, threads)
    return gate


def _left_to_readers(ops: NDArray[np.int64], threads: int) -> NDArray[np.bool_]:
    """Halos whose reader comes next, where shares of both are bands: a band needs no halo but its own."""
    left = np.zeros(len(ops), bool)
    halo, reader = ops[:-1], ops[1:]
    left[:-1] = (halo[:, 0] == Halo.CODE) & (halo[:, 1] == threads * halo[:, Halo.place("parts")])
    left[:-1] &= (reader[:, 0] == TiedSum.CODE) & (reader[:, TiedSum.place("bands")] == threads)
    return left


@part(error_model="numpy")
def _done(gate: Any, thread: int) -> int:
    """Where the number of items is that a thread has done."""
    return FIRST_THREAD + thread * gate[STRIDE]


@part(error_model="numpy")
def _next(gate: Any, thread: int) -> int:
    """Where the next item of a thread's share of the first operation is."""
    return _done(gate, thread) + LINE


@part(error_model="numpy")
def _ends(gate: Any, thread: int) -> int:
    """Where the end of a thread's share of the first operation is."""
    return _next(gate, thread) + (gate[STRIDE] - LINE) // 2


@part(error_model="numpy")
def left_to_readers(gate: Any, i: int) -> bool:
    """Whether operation i is done by each thread for itself, before its share of what follows."""
    return gate[gate[READERS] + i] != 0


@part(error_model="numpy")
def claim(gate: Any, owner: int, i: int) -> int:
    """An item of an owner's share of operation i that nobody has; -1 when there is none.

    Every operation is shared out alike: what a thread reads is mostly what it wrote before.
    """
    counter, end = _next(gate, owner) + i, gate[_ends(gate, owner) + i]
    if atomic_get(gate, counter) < end:
        item = atomic_add(gate, counter, 1)
        if item < end:
            return item
    return -1


@part(error_model="numpy")
def owner_of(gate: Any, i: int, item: int) -> int:
    """Whose share of operation i an item is in."""
    owner = 0
    while gate[_ends(gate, owner) + i] <= item:
        owner += 1
    return owner


@part(error_model="numpy")
def done_before(gate: Any, thread: int) -> int:
    """Items that a thread has done since the gate was opened: a helper may go out and come in again."""
    return gate[_done(gate, thread)]


@part(error_model="numpy")
def publish(gate: Any, thread: int, done: int) -> None:
    """Say how many items a thread has done since the gate was opened."""
    atomic_set(gate, _done(gate, thread), done)
    _changed(gate)


@part(error_model="numpy")
def wait_or_claim(gate: Any, thread: int, i: int, due: int) -> int:
    """Wait until all threads together have done what is due; gives -1 then.

    An item of operation i instead, where its owner is not here or is held up.
    """
    rounds = 0
    while True:
        changes = atomic_get(gate, CHANGES)
        item = _due_or_item(gate, thread, i, due, rounds >= HELD_UP)
        if item != NOTHING:
            break
        _wait(gate, rounds, changes)
        rounds += 1
    _waited(gate, rounds)
    return item


@part(error_model="numpy")
def _due_or_item(gate: Any, thread: int, i: int, due: int, held_up: bool) -> int:
    """-1 when all is done that is due; else an item to take over, or NOTHING."""
    threads, done = gate[THREADS], 0
    for other in range(threads):
        done += atomic_get(gate, _done(gate, other))
    if done >= due:
        return -1
    if held_up or atomic_get(gate, STATE) < OPEN + HELPER * (threads - 1):
        for other in range(thread + 1, thread + threads):
            item = claim(gate, other % threads, i)
            if item >= 0:
                return item
    return NOTHING


@part(error_model="numpy")
def _wait(gate: Any, rounds: int, changes: int) -> None:
    """Wait a moment, or after many rounds until something changes: who waits long gives its processor away.

    Who goes to sleep says so first and then looks once more: either it sees a change, or who made the change
    sees that somebody sleeps.
    """
    if rounds < PATIENCE:
        pause()
    elif rounds == PATIENCE:
        atomic_add(gate, SLEEPING, 1)
    else:
        sleep(gate, CHANGES, changes)


@part(error_model="numpy")
def _waited(gate: Any, rounds: int) -> None:
    """After so many rounds of waiting."""
    if rounds > PATIENCE:
        atomic_add(gate, SLEEPING, -1)


@part(error_model="numpy")
def _changed(gate: Any) -> None:
    """Wake who sleeps, after a change."""
    if atomic_get(gate, SLEEPING) != 0:
        atomic_add(gate, CHANGES, 1)
        wake(gate, CHANGES)


@part(error_model="numpy")
def open_gate(gate: Any, first: int, last: int) -> None:
    """Let helpers in, to operations that nobody has begun."""
    threads = gate[THREADS]
    for thread in range(threads):
        gate[_done(gate, thread)] = 0
        for i in range(first, last):
            gate[_next(gate, thread) + i] = gate[_ends(gate, thread - 1) + i] if thread else 0
    gate[BEGIN], gate[END] = first, last
    atomic_add(gate, STATE, OPEN)


@part(error_model="numpy")
def close_gate(gate: Any) -> None:
    """Let nobody else in, and wait until the last helper is out."""
    atomic_add(gate, STATE, -OPEN)
    rounds = 0
    while True:
        changes = atomic_get(gate, CHANGES)
        if atomic_get(gate, STATE) == 0:
            break
        _wait(gate, rounds, changes)
        rounds += 1
    _waited(gate, rounds)


@part(error_model="numpy")
def enter(gate: Any) -> bool:
    """Go in as a helper; False when the gate stayed closed for a while."""
    rounds = 0
    while True:
        state = atomic_get(gate, STATE)
        if state & OPEN and atomic_swap(gate, STATE, state, state + HELPER):
            return True
        if rounds >= atomic_get(gate, ATTENDANCE):
            return False
        pause()
        rounds += 1


@part(error_model="numpy")
def leave(gate: Any) -> None:
    """Go out again."""
    atomic_add(gate, STATE, -HELPER)
    _changed(gate)
