"""The other threads of a session: they sleep in Python and help inside compiled code."""

import ctypes
import os
import threading
import weakref
from contextlib import suppress
from typing import Protocol

# Linux alone has both; elsewhere threads are left where they wake up.
_PINS = hasattr(os, "sched_setaffinity")
_current_processor = getattr(ctypes.CDLL(None), "sched_getcpu", None) if _PINS else None


class Served(Protocol):
    """What a thread can help with."""

    def serve(self, thread: int) -> None:
        """Help as thread 1, 2, ... until there is nothing to do, without the interpreter lock."""
        ...


class Team:
    """Threads that help whoever calls, one caller at a time.

    A caller never waits for them to wake up: it works alone until they come.
    """

    def __init__(self, helpers: int) -> None:
        self.lock = threading.Lock()
        self._state = _State(helpers)
        for number in range(1, helpers + 1):
            arguments = (self._state, number)
            threading.Thread(target=_work, args=arguments, name="sim-compress", daemon=True).start()
        self._end = weakref.finalize(self, self._state.stop)

    def leave(self) -> None:
        """In a forked child: the threads are not here, and may have taken their lock with them."""
        self._end.detach()

    def help(self, served: Served) -> None:
        """Wake the threads that are not helping here already."""
        self._state.call(served)


class _State:
    """Shared with the threads, which must not keep the team itself alive."""

    def __init__(self, helpers: int) -> None:
        self._helpers = helpers
        self._condition = threading.Condition()
        self._served: Served | None = None
        self._processors: set[int] = set()
        self._busy = 0
        self._stopped = False

    def call(self, served: Served) -> None:
        # Read without the lock: a wrong guess only wakes a thread in vain or leaves the caller alone.
        if self._served is served and self._busy == self._helpers:
            return
        processors = other_processors()
        with self._condition:
            self._served, self._processors = served, processors
            self._condition.notify_all()

    def stop(self) -> None:
        with self._condition:
            self._stopped = True
            self._condition.notify_all()

    def wait(self) -> Served | None:
        """The next to serve; None when the session is gone. The thread then is on a processor of its own."""
        with self._condition:
            self._condition.wait_for(lambda: self._served is not None or self._stopped)
            self._busy += 1
            keep_to(self._processors)
            return None if self._stopped else self._served

    def done(self, served: Served) -> None:
        with self._condition:
            self._busy -= 1
            if self._served is served:
                self._served = None


def _work(state: _State, number: int) -> None:
    while (served := state.wait()) is not None:
        served.serve(number)
        state.done(served)
        # A sleeping thread must not keep the arena alive.
        del served


def other_processors() -> set[int]:
    """Processors that the calling thread may use but does not: none where that is not known.

    A thread that wakes another gets it on its own processor, and it would be milliseconds until the system
    moves one of them: more than many calls.
    """
    return os.sched_getaffinity(0) - {_current_processor()} if _current_processor else set()


def keep_to(processors: set[int]) -> None:
    """Let the calling thread run on some processors alone; as before where there are none."""
    # They may have been taken from the process in the meantime.
    with suppress(OSError):
        if processors:
            os.sched_setaffinity(0, processors)
