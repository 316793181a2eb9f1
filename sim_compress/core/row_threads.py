"""Rows side by side: compiled kernels and products without the interpreter's lock, on one thread a core.

numba's own parallel loops take several times as long to compile, which the first run of a user pays.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numba

from sim_compress.compilation import ready

# Pieces for each thread: rows differ in cost, and who is done takes the next piece.
PIECES = 4
# Rows of one product: a number of their own, so that the result does not depend on the number of cores.
TOGETHER = 64

Result = TypeVar("Result")


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
    ready(kernel, 0, rows, *arguments)

    def piece(first: int) -> None:
        kernel(first, min(first + size, rows), *arguments)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(piece, range(0, rows, size)))


def in_pieces(work: Callable[[slice], Result], rows: int) -> list[Result]:
    """work(piece) of every piece of range(rows), in order; what is done in it is numpy's, on one thread."""
    pieces = [slice(first, first + TOGETHER) for first in range(0, rows, TOGETHER)]
    if len(pieces) <= 1:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(numba.get_num_threads()) as pool:
        return list(pool.map(work, pieces))
