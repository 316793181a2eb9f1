"""A process beside this one that compiles what is needed later, so that both cores of a small machine work.

numba compiles one function at a time and mostly under the interpreter's lock: a thread would win nothing. The
companion writes the same files as this process would, which waits for a kernel only where it needs it before
it is written; whatever goes wrong in the companion, this process compiles for itself.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from numba.core import config

from sim_compress.compilation.announcement import ANNOUNCEMENT
from sim_compress.compilation.cache import KernelCache

# Its modules are found where this process finds them, never in the working directory.
CODE = """
import sys
sys.path[:] = sys.argv[1:]
from sim_compress.compilation.companion_process import main
main()
"""
FLAGS = {"dont_write_bytecode": "-B", "ignore_environment": "-E", "no_user_site": "-s"}
# Seconds from one look for a file to the next, and for the companion to end by itself.
LOOK_AGAIN, TO_END = 0.02, 5.0


class Companion:
    """One process that compiles the entries of modules in order.

    Args:
        modules: names of modules, each with ENTRIES: its kernels, each with the types of its arguments.
        files: where each module's kernels are written.
    """

    def __init__(self, modules: Sequence[str], files: Sequence[Sequence[str]]) -> None:
        self._owner = os.getpid()
        self._files = {file for own in files for file in own}
        flags = [flag for name, flag in FLAGS.items() if getattr(sys.flags, name)]
        self._process = subprocess.Popen(
            [sys.executable, *flags, "-c", CODE, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._say(json.dumps([modules, files]))

    def works_on(self, file: Path | None) -> bool:
        """Whether a file may still come from it."""
        # A fork has no child here.
        return os.getpid() == self._owner and str(file) in self._files and self._process.poll() is None

    def end(self) -> None:
        """End it and wait for that; what it has written is whole."""
        if os.getpid() != self._owner:
            return
        if self._process.poll() is None:
            # A fork may have this end of the pipe too, which then stays open.
            self._say("end")
        try:
            self._process.communicate(timeout=TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{text}\n".encode())
            self._process.stdin.flush()
        except OSError:
            # It has ended.
            pass


class AwaitedCache(KernelCache):
    """A cache that waits for what the companion is about to write."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        companion = _RUNNING[0] if _RUNNING else None
        if companion is not None and not self.holds(sig, target_context):
            with ANNOUNCEMENT.elsewhere(self._py_func, self):
                file = self.file(sig, target_context)
                while companion.works_on(file) and not self.holds(sig, target_context):
                    time.sleep(LOOK_AGAIN)
        return super().load_overload(sig, target_context)


# The companion of this process, if there is one.
_RUNNING: list[Companion] = []


@contextmanager
def companion(*modules: str) -> Iterator[None]:
    """Compile kernels in another process in this context, where they are not on disk and a core is free.

    Args:
        modules: names of modules whose ENTRIES are needed, in the order they are needed.
    """
    started = _started(modules)
    if started is None:
        yield
        return
    _RUNNING.append(started)
    try:
        yield
    finally:
        _RUNNING.remove(started)
        started.end()


def _started(modules: Sequence[str]) -> Companion | None:
    if _RUNNING or not _welcome():
        return None
    tables = [import_module(module).ENTRIES for module in modules]
    files = [files_of(entries) for entries in tables]
    if any(file is None for own in files for file in own) or all(on_disk(entries) for entries in tables):
        return None
    try:
        return Companion(modules, [[str(file) for file in own] for own in files])
    except OSError:
        # No more processes: this one compiles for itself.
        return None


def _welcome() -> bool:
    """Whether another process would help, and whether one can be started.

    Children of multiprocessing have siblings that are as busy. In a program that has Python in it the
    executable is that program.
    """
    return (
        not vars(config)["DISABLE_JIT"]
        and vars(config)["NUMBA_NUM_THREADS"] > 1
        and multiprocessing.parent_process() is None
        and not hasattr(sys, "frozen")
        and os.path.basename(sys.executable or "").lower().startswith("python")
    )


def files_of(entries: Mapping[Any, Sequence[Any]]) -> list[Path | None]:
    """Where each kernel is written; None where it is not."""
    return [
        e._cache.file(tuple(kinds), e.targetctx) if isinstance(e._cache, KernelCache) else None
        for e, kinds in entries.items()
    ]


def on_disk(entries: Mapping[Any, Sequence[Any]]) -> bool:
    """Whether all kernels were written."""
    return all(e._cache.holds(tuple(kinds), e.targetctx) for e, kinds in entries.items())
