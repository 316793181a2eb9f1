"""Making kernels ready before they are called."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from numba.core.compiler_lock import global_compiler_lock

from sim_compress.compilation.announcement import ANNOUNCEMENT
from sim_compress.compilation.kernel import JIT
from sim_compress.compilation.messages import LOGGER
from sim_compress.forks import held


def prepare(entries: Mapping[Any, Sequence[Any]]) -> None:
    """Compile kernels or load them from disk; nothing where numba does not compile. Any thread may call it.

    Args:
        entries: each with the types of its arguments; no call can add others.
    """
    if not JIT:
        return
    waiting = [entry for entry in entries if not entry.signatures]
    began = time.perf_counter()
    for number, entry in enumerate(waiting, 1):
        # Another thread may be at the same.
        with global_compiler_lock:
            if not entry.signatures:
                with ANNOUNCEMENT.place(number, len(waiting)):
                    entry.compile(tuple(entries[entry]))
                entry.disable_compile()
    if waiting:
        LOGGER.info("%d kernels ready in %.1f s", len(waiting), time.perf_counter() - began)


def ready(entry: Any, *arguments: Any) -> None:
    """Compile a kernel for arguments, or load it: before other threads do, which Ctrl-C does not reach."""
    if JIT:
        entry.compile(tuple(entry.typeof_pyval(argument) for argument in arguments))


# A child in which another thread is compiling would wait for that thread.
held(global_compiler_lock)
