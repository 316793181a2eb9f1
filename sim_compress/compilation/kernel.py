"""The decorators of compiled functions.

With NUMBA_DISABLE_JIT they give the plain functions back, as numba's own do.
"""

import logging
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import config

from sim_compress.compilation.companion import AwaitedCache
from sim_compress.compilation.messages import say_once

# Nobody takes the address of a function: what it would be called by there is not compiled.
OPTIONS = {"nogil": True, "no_cfunc_wrapper": True}
# Whether numba compiles at all.
JIT = not vars(config)["DISABLE_JIT"]


def kernel(
    function: Callable[..., Any] | None = None, *, without: Callable[..., Any] | None = None, **options: Any
) -> Any:
    """A function that Python calls, compiled without the interpreter's lock and kept on disk.

    Args:
        function: what is decorated; without one, a decorator.
        without: what is called instead where numba does not compile: for kernels of generated code.
        options: numba's, as `fastmath`.
    """
    if function is None:
        return lambda decorated: kernel(decorated, without=without, **options)
    if not JIT:
        return without or function
    compiled: Any = njit(function, **OPTIONS, **options)
    _keep(compiled)
    return compiled


def part(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A function that kernels call: it is compiled into them, and kept with them."""
    if function is None:
        return lambda decorated: part(decorated, **options)
    return njit(function, **OPTIONS, **options)


def inlined(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """A part that is pasted into its caller before types are inferred."""
    return part(function, inline="always", **options)


def _keep(compiled: Any) -> None:
    """Look for compiled code on disk before compiling, and write it there afterwards."""
    try:
        # numba's `enable_caching` does the same with its own kind of cache.
        compiled._cache = AwaitedCache(compiled.py_func)
    except RuntimeError as error:
        # The classes named in NUMBA_CACHE_LOCATOR_CLASSES have no folder for it.
        say_once(logging.WARNING, f"compiled code is not kept: {error}")
