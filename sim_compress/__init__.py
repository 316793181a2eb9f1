"""sim-compress: turn a pretrained network into a sparse, certified implicit model.

Everything is imported when first used: `load` needs numpy, scipy and safetensors alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim_compress.artifact import Source
    from sim_compress.compression import (
        Compressed,
        Found,
        Paper,
        RunFolder,
        Settings,
        compress,
        sparsest,
        sweep,
    )
    from sim_compress.core import Convex
    from sim_compress.runtime import Session, Tolerance
    from sim_compress.states import Teacher, open_teacher

_LAZY = {
    "Session": "sim_compress.runtime",
    "Convex": "sim_compress.core",
    "Compressed": "sim_compress.compression",
    "Found": "sim_compress.compression",
    "Paper": "sim_compress.compression",
    "RunFolder": "sim_compress.compression",
    "Settings": "sim_compress.compression",
    "compress": "sim_compress.compression",
    "sparsest": "sim_compress.compression",
    "sweep": "sim_compress.compression",
    "Teacher": "sim_compress.states",
    "Tolerance": "sim_compress.runtime",
    "open_teacher": "sim_compress.states",
}

__all__ = [
    "Compressed",
    "Convex",
    "Found",
    "Paper",
    "RunFolder",
    "Session",
    "Settings",
    "Teacher",
    "Tolerance",
    "compress",
    "load",
    "open_teacher",
    "sparsest",
    "sweep",
]


def load(
    source: "Source",
    kernel: str | None = None,
    threads: int | None = None,
    tolerance: "Tolerance | None" = None,
) -> "Session":
    """A callable model from an artifact: `load(path)(inputs)` gives outputs of shape (samples, ...).

    Args:
        source: a path, the bytes of the file, or the file opened with "rb".
        kernel: "numba" (compiled, the default where numba is installed) or "scipy"; `.kernel` says which.
        threads: threads of the numba kernel; by default one for each processor.
        tolerance: when the fixed point of a loop counts as reached.

    Raises:
        ArtifactError: the file breaks a rule of docs/format.md, or its certificate does not hold.
        InputError: kernel or threads cannot be had.
    """
    from sim_compress.artifact import read
    from sim_compress.runtime import Session

    return Session(read(source).model, tolerance, kernel, threads)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'sim_compress' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
