"""Threads that wait for each other: awake for microseconds, then asleep until something changes."""

import threading
from collections.abc import Callable

import numpy as np
import pytest

from sim_compress.runtime.compiled.threads import gate as gates
from sim_compress.runtime.compiled.threads.gate import (
    ATTENDANCE,
    CHANGES,
    SLEEPING,
    STATE,
    claim,
    close_gate,
    enter,
    leave,
    new_gate,
    open_gate,
    publish,
    wait_or_claim,
)

LEADER, HELPER = 0, 1


@pytest.fixture
def gate() -> np.ndarray:
    """Of one operation with two items, for two threads."""
    ops = np.zeros((1, 64), np.int64)
    ops[0, 1] = 2
    return new_gate(ops, 2)


def once_asleep(gate: np.ndarray, waiting: Callable[[], object], then: Callable[[], object]) -> object:
    """What a thread gives that waits, after something was done when it slept."""
    found = []
    thread = threading.Thread(target=lambda: found.append(waiting()))
    thread.start()
    while not gate[SLEEPING]:
        assert thread.is_alive(), "it waits awake"
    then()
    thread.join()
    assert gate[SLEEPING] == 0
    return found[0]


@pytest.fixture
def opened(gate) -> np.ndarray:
    """The gate with a helper inside; each thread has begun its item."""
    open_gate(gate, 0, 1)
    assert enter(gate)
    assert [claim(gate, thread, 0) for thread in (LEADER, HELPER)] == [0, 1]
    return gate


def test_who_waits_for_an_item_sleeps_until_it_is_done(opened):
    publish(opened, LEADER, 1)
    changes = opened[CHANGES]
    assert (
        once_asleep(opened, lambda: wait_or_claim(opened, LEADER, 0, 2), lambda: publish(opened, HELPER, 1))
        == -1
    )
    assert opened[CHANGES] == changes + 1


def test_who_closes_the_gate_sleeps_until_the_helper_is_out(opened):
    once_asleep(opened, lambda: close_gate(opened), lambda: leave(opened))
    assert opened[STATE] == 0


def test_who_does_not_wait_wakes_nobody(opened):
    publish(opened, LEADER, 1)
    publish(opened, HELPER, 1)
    assert wait_or_claim(opened, LEADER, 0, 2) == -1
    leave(opened)
    close_gate(opened)
    assert [opened[STATE], opened[CHANGES], opened[SLEEPING]] == [0, 0, 0]


def test_a_share_that_nobody_has_begun_is_taken_over_without_sleep(gate):
    open_gate(gate, 0, 1)
    assert claim(gate, LEADER, 0) == 0
    publish(gate, LEADER, 1)
    assert wait_or_claim(gate, LEADER, 0, 2) == 1


def test_two_may_sleep_for_the_same_change(opened):
    found = []

    def wait() -> None:
        found.append(wait_or_claim(opened, LEADER, 0, 2))

    publish(opened, LEADER, 1)
    threads = [threading.Thread(target=wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    while opened[SLEEPING] < 2:
        pass
    publish(opened, HELPER, 1)
    for thread in threads:
        thread.join()
    assert (found, opened[SLEEPING]) == ([-1, -1], 0)


@pytest.mark.parametrize("rounds", [0, 100])
def test_a_helper_leaves_a_gate_that_stays_closed(gate, rounds):
    gate[ATTENDANCE] = rounds
    assert not enter(gate)
    assert gate[SLEEPING] == 0


def test_patience_is_longer_than_it_takes_to_see_that_somebody_is_held_up():
    assert gates.HELD_UP < gates.PATIENCE
