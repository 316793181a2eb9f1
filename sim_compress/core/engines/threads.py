"""The engine of threads: tasks in this process, whose memory they share."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numba

from sim_compress.core.engines.calls import in_order
from sim_compress.core.engines.interface import Engine, Here, Result, Shared, Task, Value
from sim_compress.core.engines.limits import one_blas_thread


class Threads:
    """Runs at most `workers` tasks at once."""

    notice = None

    def __init__(self, pool: ThreadPoolExecutor, workers: int) -> None:
        self._pool, self._workers = pool, workers

    def share(self, value: Value) -> Shared[Value]:
        """See `Engine.share`."""
        return Here(value)

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], ahead: int | None = None
    ) -> Iterator[Result]:
        """See `Engine.map`."""

        def begin(task: Task) -> Future[Result]:
            return self._pool.submit(function, task)

        with one_blas_thread():
            yield from in_order(begin, Future.result, Future.cancel, tasks, ahead and ahead * self._workers)

    def keep(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Shared[Result]]:
        """See `Engine.keep`."""
        return [Here(found) for found in self.map(function, tasks)]


@contextmanager
def threads(workers: int) -> Iterator[Engine]:
    """The engine of threads; leaving the context waits for tasks that are under way."""
    # What a task does with several threads of its own is one of several tasks already.
    with ThreadPoolExecutor(workers, initializer=numba.set_num_threads, initargs=(1,)) as pool:
        yield Threads(pool, workers)
