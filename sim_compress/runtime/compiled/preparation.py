"""Compiling the kernel once for a processor, or loading what was compiled before."""

import logging
import threading
import time

from sim_compress.runtime.compiled import machine

LOGGER = logging.getLogger("sim_compress")
# Seconds after which a user would wonder what goes on.
NOTICE_AFTER = 1.0
_LOCK = threading.Lock()


def prepare() -> None:
    """Make the compiled entries ready; logs a warning where that takes more than a second.

    Each entry is compiled for one set of types, and no call can add another.
    """
    with _LOCK:
        if machine.run.signatures:
            return
        folder = machine.run.stats.cache_path
        notice = threading.Timer(
            NOTICE_AFTER,
            LOGGER.warning,
            ("compiling the numba kernel for this processor: some seconds, %s", _how_often(folder)),
        )
        notice.daemon = True
        notice.start()
        began = time.perf_counter()
        try:
            for entry, types in machine.ENTRIES.items():
                entry.compile(types)
                entry.disable_compile()
        finally:
            notice.cancel()
        LOGGER.info("numba kernel ready in %.1f s", time.perf_counter() - began)


def _how_often(folder: str | None) -> str:
    if folder is None:
        return "in every process, because no folder for it can be written (set NUMBA_CACHE_DIR to one)"
    return f"only once, kept in {folder}"
