"""Compiling the kernel once for a processor, or loading what was compiled before."""

import logging
import threading
import time
from pathlib import Path

from sim_compress.runtime.compiled import machine

LOGGER = logging.getLogger("sim_compress")
_LOCK = threading.Lock()


def prepare() -> None:
    """Make the compiled entries ready; logs at level INFO where it has to compile, which takes seconds.

    Each entry is compiled for one set of types, and no call can add another.
    """
    with _LOCK:
        if machine.run.signatures:
            return
        folder = Path(machine.run.stats.cache_path)
        known = any(folder.glob(f"{Path(machine.__file__).stem}.*{machine.run.__name__}-*.nbi"))
        if not known:
            LOGGER.info("compiling the numba kernel for this processor: some seconds, only once")
        began = time.perf_counter()
        for entry, types in machine.ENTRIES.items():
            entry.compile(types)
            entry.disable_compile()
        took = time.perf_counter() - began
        LOGGER.log(
            logging.INFO if took > 1 else logging.DEBUG,
            "numba kernel ready in %.1f s, kept in %s",
            took,
            folder,
        )
