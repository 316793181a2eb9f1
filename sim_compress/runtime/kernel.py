"""Which kernel a session uses; numba is imported only when it is chosen."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol

from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.fixed_point import Convergence, Tolerance
from sim_compress.runtime.reference import ReferenceEvaluator

KERNELS = ("numba", "scipy")


class Evaluator(Protocol):
    """What a kernel offers."""

    def evaluate(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], Convergence | None]:
        """Outputs (samples, ...) of checked inputs (samples, ...), and how the loops converged, if any."""
        ...


def chosen_kernel(kernel: str | None) -> str:
    """The kernel asked for; by default numba where it is installed.

    Raises:
        InputError: there is no such kernel, or numba was asked for and is not installed.
    """
    if kernel is None:
        return "numba" if _has_numba() else "scipy"
    if kernel not in KERNELS:
        raise InputError(f"unknown kernel {kernel!r}: choose one of {', '.join(KERNELS)}")
    if kernel == "numba" and not _has_numba():
        raise InputError(
            "kernel='numba' needs the package 'numba', which is not installed: "
            "run  pip install numba  or use the slower kernel='scipy'"
        )
    return kernel


def _has_numba() -> bool:
    """Whether numba is installed, without importing it."""
    try:
        return find_spec("numba") is not None
    except ModuleNotFoundError:
        return False


def chosen_threads(threads: int | None) -> int:
    """The number of threads asked for; by default the processors this process may use.

    Raises:
        InputError: it is not a positive number.
    """
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise InputError(f"threads must be at least 1, got {threads}")
    return threads


def make_evaluator(model: ImplicitModel, kernel: str, threads: int, tolerance: Tolerance) -> Evaluator:
    """The evaluator of a chosen kernel."""
    if kernel == "scipy":
        return ReferenceEvaluator(model, tolerance)
    # numba takes half a second to import: only who uses it waits for it.
    try:
        from sim_compress.runtime.compiled.evaluator import CompiledEvaluator
    except ImportError as error:
        raise InputError(f"numba is installed but cannot be used ({error}): use kernel='scipy'") from error

    return CompiledEvaluator(model, tolerance, threads)
