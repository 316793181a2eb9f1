"""Engines: one pure function over many tasks, with the same bytes for any engine and any worker count."""

from sim_compress.core.engines.bounded import Bounded
from sim_compress.core.engines.calls import one_by_one_or
from sim_compress.core.engines.interface import Arrays, Engine, Here, Shared
from sim_compress.core.engines.limits import available_cpus, one_blas_thread, one_thread
from sim_compress.core.engines.registry import engine, engine_names, given_or_threads

__all__ = [
    "Arrays",
    "Bounded",
    "Engine",
    "Here",
    "Shared",
    "available_cpus",
    "engine",
    "engine_names",
    "given_or_threads",
    "one_blas_thread",
    "one_by_one_or",
    "one_thread",
]
