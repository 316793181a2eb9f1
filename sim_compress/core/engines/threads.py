"""The engine of threads: tasks in this process, whose memory they share.

What is kept lies in memory up to a bound and in files beyond it, so memory does not grow with samples.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numba

from sim_compress.core.engines.calls import in_order
from sim_compress.core.engines.interface import Arrays, Engine, Here, Result, Shared, Task, Value
from sim_compress.core.engines.layout import packed, unpacked
from sim_compress.core.engines.limits import one_blas_thread
from sim_compress.core.engines.stored import forget, store_arrays

# Bytes of what is kept that lie in memory.
MEMORY_BOUND = 128 * 2**20


class Threads:
    """Runs at most `workers` tasks at once."""

    notice = None
    shares_memory = is_here = True

    def __init__(self, pool: ThreadPoolExecutor, workers: int, folder: Path, bound: int) -> None:
        self._pool, self.workers, self._folder = pool, workers, folder
        self._room, self._files = bound, 0

    def share(self, value: Value) -> Shared[Value]:
        """See `Engine.share`."""
        return Here(value)

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None
    ) -> Iterator[Result]:
        """See `Engine.map`."""

        def begin(task: Task) -> Future[Result]:
            return self._pool.submit(function, task)

        with one_blas_thread():
            yield from in_order(begin, Future.result, Future.cancel, tasks, most)

    def map_keeping(
        self,
        function: Callable[[Task], tuple[Result, Arrays]],
        tasks: Sequence[Task],
        most: int | None = None,
    ) -> Iterator[tuple[Result, Shared[Arrays]]]:
        """See `Engine.map_keeping`."""
        for found, arrays in self.map(function, tasks, most):
            yield found, self._kept(arrays)

    def _kept(self, arrays: Arrays) -> Shared[Arrays]:
        size = sum(array.nbytes for array in arrays.values())
        if size <= self._room:
            self._room -= size
            return _InMemory(unpacked(packed(arrays)), self, size)
        self._files += 1
        return store_arrays(arrays, self._folder / f"{self._files}.pickle")

    def free(self, size: int) -> None:
        """Bytes in memory are no longer held."""
        self._room += size


class _InMemory(Here[Arrays]):
    """Kept arrays that count towards the bound."""

    def __init__(self, arrays: Arrays, engine: Threads, size: int) -> None:
        super().__init__(arrays)
        self._engine, self._size = engine, size

    def drop(self) -> None:
        super().drop()
        self._engine.free(self._size)
        self._size = 0


@contextmanager
def threads(workers: int, bound: int = MEMORY_BOUND) -> Iterator[Engine]:
    """The engine of threads; leaving the context waits for tasks that are under way."""
    # What a task does with several threads of its own is one of several tasks already.
    pool = ThreadPoolExecutor(workers, initializer=numba.set_num_threads, initargs=(1,))
    with tempfile.TemporaryDirectory(prefix="sim-compress-") as folder, pool:
        try:
            yield Threads(pool, workers, Path(folder), bound)
        finally:
            forget()
