"""Which kernel a session uses; numba is imported only when it is chosen."""

import logging
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol

from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.fixed_point import Convergence, Tolerance
from sim_compress.runtime.reference import ReferenceEvaluator
from sim_compress.runtime.step_time import StepTime

KERNELS = ("numba", "scipy")
SWITCHED_OFF = "NUMBA_DISABLE_JIT is set, so numba compiles nothing"


class Evaluator(Protocol):
    """What a kernel offers."""

    def evaluate(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], Convergence | None]:
        """Outputs (samples, ...) of checked inputs (samples, ...), and how the loops converged, if any."""
        ...

    def profile(self, inputs: Mapping[str, Array], rounds: int) -> tuple[StepTime, ...]:
        """What every block costs on the first chunk."""
        ...


def chosen_kernel(kernel: str | None) -> str:
    """The kernel asked for; by default numba where it is installed and compiles.

    Raises:
        InputError: there is no such kernel, or numba was asked for and is not installed or does not compile.
    """
    if kernel is None:
        if not _has_numba():
            return "scipy"
        if not _compiles():
            _say_that_it_is_off()
            return "scipy"
        return "numba"
    if kernel not in KERNELS:
        raise InputError(f"unknown kernel {kernel!r}: choose one of {', '.join(KERNELS)}")
    if kernel == "numba" and not _has_numba():
        raise InputError(
            "kernel='numba' needs the package 'numba', which is not installed: "
            "run  pip install numba  or use the slower kernel='scipy'"
        )
    if kernel == "numba" and not _compiles():
        raise InputError(f"kernel='numba': {SWITCHED_OFF}; unset that, or use the slower kernel='scipy'")
    return kernel


def _has_numba() -> bool:
    """Whether numba is installed, without importing it."""
    try:
        return find_spec("numba") is not None
    except ModuleNotFoundError:
        return False


def _compiles() -> bool:
    """Whether numba compiles; debuggers and coverage switch that off."""
    if "numba" in sys.modules:
        from sim_compress.compilation import JIT

        return JIT
    # What numba will read when it is imported.
    return os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def _say_that_it_is_off() -> None:
    from sim_compress.compilation.messages import say_once

    say_once(logging.WARNING, f"{SWITCHED_OFF}: models run on the slower kernel 'scipy'")


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


def numpy_blocks(model: ImplicitModel) -> tuple[str, ...] | None:
    """Blocks and outputs that the numba kernel leaves to numpy at one sample; None without numba."""
    if chosen_kernel(None) != "numba":
        return None
    from sim_compress.runtime.compiled.evaluator import blocks_left_to_numpy

    return blocks_left_to_numpy(model)


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
