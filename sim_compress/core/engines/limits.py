"""BLAS and numba at one thread: the bits of a product depend on how many threads share it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import numba
import scipy.linalg  # noqa: F401  # its BLAS is another than numpy's, and must be there to be found
from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread in the whole process: for work that has threads of its own.

    Threads of BLAS spin while they wait for each other, which on busy cores costs many times the product.
    """
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS (in the whole process) and numba (in the calling thread) at one thread."""
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with one_blas_thread():
            yield
    finally:
        numba.set_num_threads(before)


def available_cpus() -> int:
    """CPUs that this process may run on."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _libraries() -> ThreadpoolController:
    """The libraries that are loaded when they are first asked for: a search takes a few milliseconds."""
    return ThreadpoolController()
