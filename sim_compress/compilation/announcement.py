"""Says what is being compiled, how far that is and where it is kept, when it takes more than a moment."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import event

from sim_compress.compilation.cache import KernelCache
from sim_compress.compilation.messages import LOGGER

# Seconds after which a user would wonder what goes on, and from one line to the next.
NOTICE_AFTER, AGAIN_AFTER = 1.0, 10.0


class Announcement(event.Listener):
    """Listens to numba's compiler, whose lock lets one thread compile at a time.

    Loading code from disk is no compiling, and parts of a kernel are compiled within it.
    """

    def __init__(self) -> None:
        self._inside: list[Any] = []
        self._over = threading.Event()
        # Number of a kernel in a list that is gone through, and their number.
        self._place: tuple[int, int] | None = None

    def on_start(self, event: Any) -> None:
        dispatcher = event.data["dispatcher"]
        if not self._inside and isinstance(dispatcher._cache, KernelCache):
            self._over = self._begun(dispatcher.py_func, dispatcher._cache)
        self._inside.append(dispatcher)

    def on_end(self, event: Any) -> None:  # noqa: ARG002 - numba's name
        self._inside.pop()
        if not self._inside:
            self._over.set()

    @contextmanager
    def elsewhere(self, function: Any, cache: KernelCache) -> Iterator[None]:
        """Another process compiles a kernel in this context."""
        over = self._begun(function, cache)
        try:
            yield
        finally:
            over.set()

    def _begun(self, function: Any, cache: KernelCache) -> threading.Event:
        """Announce a kernel until the event is set."""
        over = threading.Event()
        arguments = over, _called(function), _kept(cache), self._place
        threading.Thread(target=_announce, args=arguments, name="sim-compress", daemon=True).start()
        return over

    @contextmanager
    def place(self, number: int, of: int) -> Iterator[None]:
        """What is compiled in this context is so far on in a list."""
        self._place = (number, of)
        try:
            yield
        finally:
            self._place = None


ANNOUNCEMENT = Announcement()
event.register("numba:compile", ANNOUNCEMENT)


def _announce(over: threading.Event, called: str, kept: str, place: tuple[int, int] | None) -> None:
    """One line once it takes long, and one from time to time while it goes on."""
    began = time.perf_counter()
    what = f"compiling {called} ({place[0]} of {place[1]})" if place else f"compiling {called}"
    if over.wait(NOTICE_AFTER):
        return
    LOGGER.warning("%s for this processor, %s", what, kept)
    while not over.wait(AGAIN_AFTER):
        LOGGER.warning("still %s: %.0f s", what, time.perf_counter() - began)


def _called(function: Any) -> str:
    """A kernel in words: what it does, and where its source is."""
    module = function.__module__.partition(".")[2]
    return f"{function.__name__.strip('_').replace('_', ' ')} ({module})"


def _kept(cache: KernelCache) -> str:
    """How often that happens."""
    if cache.cache_path is None:
        return "in every process, because no folder for it can be written (set NUMBA_CACHE_DIR to one)"
    if not cache.sources_known:
        return "in every process, because its sources cannot be read"
    return f"only once: it is kept in {cache.cache_path}"
