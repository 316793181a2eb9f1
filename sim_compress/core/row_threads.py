"""Rows side by side: a compiled kernel without the interpreter's lock, on one thread a core.

numba's own parallel loops take several times as long to compile, which the first run of a user pays.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba

# Pieces for each thread: rows differ in cost, and who is done takes the next piece.
PIECES = 4


def over_rows(kernel: Callable[..., None], rows: int, *arguments: Any) -> None:
    """Call kernel(first, stop, *arguments) on pieces that cover range(rows).

    Rows must not depend on each other; then neither does the result on the number of threads, which is
    numba's (`numba.set_num_threads`).
    """
    threads = min(numba.get_num_threads(), rows)
    if threads <= 1:
        kernel(0, rows, *arguments)
        return
    size = -(-rows // (PIECES * threads))

    def piece(first: int) -> None:
        kernel(first, min(first + size, rows), *arguments)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(piece, range(0, rows, size)))
