"""BLAS and numba at one thread: the bits of a product depend on how many threads share it.

In this process the libraries are asked through the extension modules that link them. A process still to be
started gets its count from the environment before numpy loads, and so starts no idle threads either.
Apple's Accelerate listens to the environment alone.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module

import numba

from sim_compress.forks import held

# numpy and scipy bring a BLAS each; a symbol looked up in an extension is found in what it links.
EXTENSIONS = ("numpy.linalg._umath_linalg", "scipy.linalg.cython_blas")
# Setter and getter of OpenBLAS as numpy and scipy build it, as systems build it, and of MKL.
SYMBOLS = (
    ("scipy_openblas_set_num_threads64_", "scipy_openblas_get_num_threads64_"),
    ("scipy_openblas_set_num_threads", "scipy_openblas_get_num_threads"),
    ("openblas_set_num_threads64_", "openblas_get_num_threads64_"),
    ("openblas_set_num_threads", "openblas_get_num_threads"),
    ("MKL_Set_Num_Threads", "MKL_Get_Max_Threads"),
)
VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# Two engines that start workers at once would otherwise restore each other's settings.
_environment = threading.RLock()
held(_environment)

Control = tuple[Callable[[int], object], Callable[[], int]]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS (in the whole process) and numba (in the calling thread) at one thread."""
    with _at_one([*_blas_controls(), (numba.set_num_threads, numba.get_num_threads)]):
        yield


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold BLAS at one thread in the whole process: for work that has threads of its own.

    Threads of BLAS spin while they wait for each other, which on busy cores costs many times the product.
    """
    with _at_one(_blas_controls()):
        yield


@contextmanager
def one_thread_for_new_processes() -> Iterator[None]:
    """Let processes started inside load every known BLAS with one thread."""
    with _environment:
        before = {name: os.environ.get(name) for name in VARIABLES}
        os.environ.update(dict.fromkeys(VARIABLES, "1"))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@contextmanager
def _at_one(controls: Sequence[Control]) -> Iterator[None]:
    with ExitStack() as restoring:
        for set_count, get_count in controls:
            restoring.callback(set_count, get_count())
            set_count(1)
        yield


@cache
def _blas_controls() -> list[Control]:
    """Setter and getter of each BLAS that numpy and scipy link."""
    controls: list[Control] = []
    for name in EXTENSIONS:
        path = import_module(name).__file__
        assert path is not None, f"{name} is an extension module"
        library = ctypes.CDLL(path)
        found = [pair for pair in SYMBOLS if all(_has(library, symbol) for symbol in pair)]
        controls += [(getattr(library, setter), getattr(library, getter)) for setter, getter in found]
    return controls


def _has(library: ctypes.CDLL, symbol: str) -> bool:
    try:
        library[symbol]
    except AttributeError:
        return False
    return True
