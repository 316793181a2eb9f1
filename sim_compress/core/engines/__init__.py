"""Engines: one pure function over many tasks, with the same bytes for any engine and any worker count."""

from sim_compress.core.engines.interface import Arrays, Engine, Progress
from sim_compress.core.engines.registry import available_cpus, engine, engine_names
from sim_compress.core.engines.threads import one_blas_thread, one_thread

__all__ = [
    "Arrays",
    "Engine",
    "Progress",
    "available_cpus",
    "engine",
    "engine_names",
    "one_blas_thread",
    "one_thread",
]
