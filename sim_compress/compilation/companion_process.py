"""What the companion does: it compiles the kernels it is told of, and ends when its parent does."""

import gc
import json
import os
import signal
import sys
import threading
from importlib import import_module

from sim_compress.compilation.cache import WRITING
from sim_compress.compilation.companion import files_of, on_disk
from sim_compress.compilation.preparation import prepare


def main() -> None:
    """Read the names of modules and where their kernels go, and compile those."""
    # Ctrl-C and SIGTERM come to the whole group: the parent decides what they mean.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    modules, files = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # The compiler leaves cycles to the collector that takes an eighth of its time; this process ends soon.
    gc.disable()
    for module, own in zip(modules, files, strict=True):
        entries = import_module(module).ENTRIES
        if [str(file) for file in files_of(entries)] != own:
            # It would write what nobody waits for.
            return
        prepare(entries)
        if not on_disk(entries):
            return


def _end_with_parent() -> None:
    """The other end of the pipe closes, or says so, when the parent has ended or needs no more."""
    sys.stdin.readline()
    with WRITING:
        os._exit(0)
