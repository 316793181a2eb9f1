"""The engine of processes: workers on this machine that map what they share from files."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from joblib.externals.loky.backend import resource_tracker
from joblib.externals.loky.process_executor import BrokenProcessPool, ProcessPoolExecutor

from sim_compress.core.engines.calls import called, in_order
from sim_compress.core.engines.interface import Arrays, Engine, Result, Shared, Task, Value
from sim_compress.core.engines.stored import StoredArrays, forget, store, store_arrays
from sim_compress.errors import SolverError

# A BLAS that is loaded with one thread starts no idle ones.
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "BLIS")}
# Seconds between looks whether the parent still lives, and in which idle workers end.
WATCH, IDLE = 1.0, 30


class Processes:
    """Runs at most `workers` tasks at once; files of shared values lie in `folder`."""

    notice = None
    shares_memory, is_here = False, True

    def __init__(self, workers: int, folder: Path) -> None:
        self.workers, self._folder = workers, folder
        self._files = 0
        self._pool: ProcessPoolExecutor | None = None

    def share(self, value: Value) -> Shared[Value]:
        """See `Engine.share`."""
        return store(value, self._next_file())

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None
    ) -> Iterator[Result]:
        """See `Engine.map`."""

        def begin(task: Task) -> Future[Result]:
            return self._executor().submit(called, function, task)

        return in_order(begin, self._result, Future.cancel, tasks, most)

    def map_keeping(
        self,
        function: Callable[[Task], tuple[Result, Arrays]],
        tasks: Sequence[Task],
        most: int | None = None,
    ) -> Iterator[tuple[Result, Shared[Arrays]]]:
        """See `Engine.map_keeping`."""
        return self.map(_keeping, [(function, task, self._next_file()) for task in tasks], most)

    def _next_file(self) -> Path:
        self._files += 1
        return self._folder / f"{self._files}.pickle"

    def _executor(self) -> ProcessPoolExecutor:
        """The pool; a new one after a worker died."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, timeout=IDLE, initializer=_end_with, initargs=(os.getpid(),), env=ONE_THREAD
            )
        return self._pool

    def _result(self, begun: Future[Result]) -> Result:
        try:
            return begun.result()
        except BrokenProcessPool as error:
            self.end()
            raise SolverError(
                f"a worker process died ({' '.join(str(error).split())}): systems kill when memory runs "
                f"out, so use fewer than {self.workers} workers"
            ) from error

    def end(self) -> None:
        """End the workers, whatever they do."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, kill_workers=True)
            self._pool = None


@contextmanager
def processes(workers: int) -> Iterator[Engine]:
    """The engine of processes; leaving the context in any way ends its workers and removes their files."""
    with tempfile.TemporaryDirectory(prefix="sim-compress-") as folder:
        # A process of loky's outlives this one, however it ends, and removes what is registered.
        resource_tracker.register(folder, "folder")
        engine = Processes(workers, Path(folder))
        try:
            yield engine
        finally:
            engine.end()
            forget()
            resource_tracker.unregister(folder, "folder")


def _keeping(call: tuple[Callable[[Any], tuple[Any, Arrays]], Any, Path]) -> tuple[Any, StoredArrays]:
    function, task, file = call
    found, arrays = function(task)
    return found, store_arrays(arrays, file)


def _end_with(parent: int) -> None:
    """A parent that was killed cannot say so; its worker must not compute on alone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
