"""Engines by name."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager

from sim_compress.core.engines.interface import Engine
from sim_compress.core.engines.processes import processes
from sim_compress.core.engines.ray import ray
from sim_compress.core.engines.serial import serial
from sim_compress.errors import InputError

# A maker takes the number of workers and gives a context that holds them.
_MAKERS: dict[str, Callable[[int], AbstractContextManager[Engine]]] = {
    "processes": processes,
    "ray": ray,
    "serial": serial,
}


def engine_names() -> tuple[str, ...]:
    """Names that `engine` takes, sorted."""
    return tuple(sorted(_MAKERS))


def engine(name: str, workers: int | None = None) -> AbstractContextManager[Engine]:
    """A context that gives an engine and, on leaving it in any way, ends its workers.

    Args:
        name: one of `engine_names()`.
        workers: how many tasks run at once; by default one for each CPU this process may use.

    Raises:
        InputError: an unknown name, or a number of workers that the engine cannot have; on entering, a place
            where the engine cannot run.
        MissingExtraError: on entering, the engine needs a package that is not installed.
    """
    if name not in _MAKERS:
        raise InputError(f"unknown engine {name!r}; known: {', '.join(engine_names())}")
    if workers is not None and workers < 1:
        raise InputError(f"engine {name!r} needs at least one worker, got {workers}")
    if name == "serial" and workers not in (None, 1):
        raise InputError(f"engine 'serial' has one worker, got {workers}: use 'processes' for more")
    return _MAKERS[name](available_cpus() if workers is None else workers)


def available_cpus() -> int:
    """CPUs that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
