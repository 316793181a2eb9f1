"""The ray engine: tasks on a Ray cluster, whose object store holds the shared arrays.

The cluster is the one RAY_ADDRESS names, or one started on this machine for as long as the engine lives.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from sim_compress.core.engines.arrays import readable
from sim_compress.core.engines.calls import call_remotely
from sim_compress.core.engines.dispatch import dispatch
from sim_compress.core.engines.interface import NO_ARRAYS, Arrays, Engine, Progress, Result, Task, silent
from sim_compress.core.engines.threads import one_thread
from sim_compress.errors import MissingExtraError, SolverError


class Ray:
    """Runs at most `limit` tasks at once on a cluster."""

    def __init__(self, cluster: ModuleType, limit: int) -> None:
        self._cluster = cluster
        self._limit = limit

    def map(
        self,
        function: Callable[[Arrays, Task], Result],
        tasks: Sequence[Task],
        shared: Arrays = NO_ARRAYS,
        progress: Progress = silent,
    ) -> list[Result]:
        """See `Engine.map`."""
        crew = _Crew(self._cluster, self._limit, shared)
        try:
            return dispatch(crew, function, tasks, progress).in_order()
        finally:
            crew.cancel()


class _Crew:
    """Tasks under way on the cluster."""

    def __init__(self, cluster: ModuleType, limit: int, shared: Arrays) -> None:
        self._cluster = cluster
        self._limit = limit
        self._arrays = cluster.put(readable(shared))
        self._remote = cluster.remote(num_cpus=1, max_retries=0)(_answer)
        self._busy: dict[Any, int] = {}

    @property
    def has_room(self) -> bool:
        return len(self._busy) < self._limit

    def ask(self, number: int, message: bytes) -> None:
        self._busy[self._remote.remote(self._arrays, message)] = number

    def answer(self) -> tuple[int, bytes]:
        (done,), _ = self._cluster.wait(list(self._busy), num_returns=1)
        number = self._busy.pop(done)
        try:
            return number, self._cluster.get(done)
        except self._cluster.exceptions.RayError as error:
            raise SolverError(
                f"the cluster lost task {number + 1}: {error}\n"
                "When memory ran out, use fewer workers or the serial engine."
            ) from error

    def cancel(self) -> None:
        """End what is still under way."""
        for task in self._busy:
            self._cluster.cancel(task, force=True)


def _answer(shared: Arrays, message: bytes) -> bytes:
    with one_thread():
        return call_remotely(shared, message)


@contextmanager
def ray(workers: int) -> Iterator[Engine]:
    """The ray engine; leaving the context ends what it started.

    Raises:
        MissingExtraError: ray is not installed.
    """
    try:
        cluster = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray", "engine 'ray'") from error
    if cluster.is_initialized():
        yield Ray(cluster, workers)
        return
    # Ray refuses a number of CPUs for a cluster that it does not start.
    size = {} if "RAY_ADDRESS" in os.environ else {"num_cpus": workers, "include_dashboard": False}
    cluster.init(log_to_driver=False, logging_level="error", **size)
    try:
        yield Ray(cluster, workers)
    finally:
        cluster.shutdown()
