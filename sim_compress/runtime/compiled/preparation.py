"""Compiling functions once for a processor, or loading what was compiled before."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

LOGGER = logging.getLogger("sim_compress")
# Seconds after which a user would wonder what goes on.
NOTICE_AFTER = 1.0
_LOCK = threading.Lock()


def prepare(entries: Mapping[Any, Sequence[Any]]) -> None:
    """Make compiled functions ready; logs a warning where that takes more than a second.

    Args:
        entries: each with the types it is compiled for; no call can add others.
    """
    with _LOCK:
        waiting = {entry: types for entry, types in entries.items() if not entry.signatures}
        if not waiting:
            return
        folder = next(iter(waiting)).stats.cache_path
        notice = threading.Timer(
            NOTICE_AFTER,
            LOGGER.warning,
            ("compiling the numba kernel for this processor: some seconds, %s", _how_often(folder)),
        )
        notice.daemon = True
        notice.start()
        began = time.perf_counter()
        try:
            for entry, types in waiting.items():
                entry.compile(types)
                entry.disable_compile()
        finally:
            notice.cancel()
        LOGGER.info("numba kernel ready in %.1f s", time.perf_counter() - began)


def _how_often(folder: str | None) -> str:
    if folder is None:
        return "in every process, because no folder for it can be written (set NUMBA_CACHE_DIR to one)"
    return f"only once, kept in {folder}"
