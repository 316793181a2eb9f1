"""Compiled functions that are kept on disk, and what their place there depends on."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit


def kept_on_disk(function: Callable[..., None]) -> Any:
    """A function to call from Python, kept on disk: beside its source, else in the user's cache folder."""
    compiled: Any = njit(nogil=True, error_model="numpy")(function)
    # numba's refusal where neither folder can be written.
    with contextlib.suppress(RuntimeError):
        compiled.enable_caching()
    return compiled


def sources(*folders: Path) -> str:
    """Hash of everything in some folders that compiled code is made of."""
    files = sorted(file for folder in folders for file in folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
