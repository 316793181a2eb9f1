"""The processes engine: worker processes on this machine that map the shared arrays.

Workers start with the first job that needs them, stay for the next, and are killed when a job is cut short.
A free worker takes the first task that is left; who computes a task does not show in its result.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import current_process
from multiprocessing.connection import Connection, wait

from sim_compress.core.engines.arrays import stored
from sim_compress.core.engines.dispatch import dispatch
from sim_compress.core.engines.handle import Worker, start, starting
from sim_compress.core.engines.interface import NO_ARRAYS, Arrays, Engine, Progress, Result, Task, silent
from sim_compress.errors import InputError


class Processes:
    """Runs tasks in at most `limit` worker processes."""

    notice = None

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._workers: list[Worker] = []

    def map(
        self,
        function: Callable[[Arrays, Task], Result],
        tasks: Sequence[Task],
        shared: Arrays = NO_ARRAYS,
        progress: Progress = silent,
    ) -> list[Result]:
        """See `Engine.map`."""
        try:
            with stored(shared) as arrays:
                workers = self._hire(min(self._limit, len(tasks)))
                for worker in workers:
                    worker.open_job(arrays)
            outcomes = dispatch(_Crew(workers), function, tasks, progress)
            for worker in workers:
                worker.close_job()
        except BaseException:
            self.kill()
            raise
        return outcomes.in_order()

    def leave(self) -> None:
        """End the workers, which are idle."""
        for worker in self._workers:
            worker.dismiss()
        self._bury()

    def kill(self) -> None:
        """End the workers whatever they do."""
        for worker in self._workers:
            worker.kill()
        self._bury()

    def _bury(self) -> None:
        while self._workers:
            self._workers.pop().bury()

    def _hire(self, count: int) -> list[Worker]:
        """So many workers, started where they are missing."""
        with starting():
            while len(self._workers) < count:
                self._workers.append(start())
        return self._workers[:count]


@contextmanager
def processes(workers: int) -> Iterator[Engine]:
    """The processes engine; leaving the context ends its workers.

    Raises:
        InputError: this system or this process cannot have workers.
    """
    if sys.platform == "win32":
        raise InputError("engine 'processes' runs on Linux and macOS; use 'serial' here")
    if current_process().daemon:
        raise InputError("engine 'processes' cannot run inside a worker process; use 'serial' there")
    pool = Processes(workers)
    try:
        yield pool
    except BaseException:
        pool.kill()
        raise
    pool.leave()


class _Crew:
    """Worker processes with a job open; each has one task at a time."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._free = list(workers)
        self._busy: dict[Connection, tuple[Worker, int]] = {}

    @property
    def has_room(self) -> bool:
        return bool(self._free)

    def ask(self, number: int, message: bytes) -> None:
        worker = self._free.pop()
        worker.ask(message, f"with task {number + 1}")
        self._busy[worker.connection] = worker, number

    def answer(self) -> tuple[int, bytes]:
        connection = wait(list(self._busy))[0]
        assert isinstance(connection, Connection)
        worker, number = self._busy.pop(connection)
        self._free.append(worker)
        return number, worker.answer(f"with task {number + 1}")
