"""What the companion does: it compiles the kernels it is told of, and ends when its parent does."""

import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from importlib import import_module

from sim_compress.compilation.cache import WRITING
from sim_compress.compilation.companion import files_of, on_disk
from sim_compress.compilation.preparation import prepare

# They come to the whole group of processes: the parent decides what they mean.
OF_THE_PARENT = ("SIGINT", "SIGTERM", "SIGHUP")


def main() -> None:
    """Read the names of modules and where their kernels go, and compile those."""
    for name in OF_THE_PARENT:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    modules, files = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Looking for the cycles that the compiler leaves takes an eighth of its time, and this process ends soon.
    gc.disable()
    try:
        _compile(modules, files)
    finally:
        # Somebody may wait for the end: nothing that a package does at exit may delay it.
        os._exit(0)


def _compile(modules: Sequence[str], files: Sequence[Sequence[str]]) -> None:
    """Module after module, until one's kernels are not where they are waited for."""
    for module, expected in zip(modules, files, strict=True):
        entries = import_module(module).ENTRIES
        if [str(file) for file in files_of(entries)] != list(expected):
            return
        prepare(entries)
        if not on_disk(entries):
            return


def _end_with_parent() -> None:
    """The other end of the pipe closes when the parent ends, and says so when it needs no more."""
    sys.stdin.readline()
    with WRITING:
        os._exit(0)
