"""The engine of Ray: tasks on a cluster, whose object store holds what they share.

Tasks are tried again where a worker or its node is lost, and so are those whose results were lost with it:
functions are pure, so the bytes are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Generic

from sim_compress.core.engines.calls import called, in_order
from sim_compress.core.engines.cluster import check_versions, connected, joined
from sim_compress.core.engines.interface import Engine, Result, Shared, Task, Value
from sim_compress.errors import MissingExtraError, SolverError

# How often a task is tried again whose worker or node is lost.
RETRIES = 4


@dataclass(frozen=True)
class Object(Generic[Value]):
    """A value in the object store; a reference to it travels."""

    reference: list[Any]

    @property
    def value(self) -> Value:
        return import_module("ray").get(self.reference[0])

    def drop(self) -> None:
        self.reference.clear()


@dataclass(frozen=True)
class _Begun(Generic[Task]):
    """A task on its way."""

    task: Task
    reference: Any


class Ray:
    """Runs at most `workers` tasks at once on a cluster."""

    def __init__(self, cluster: ModuleType, workers: int, notice: str) -> None:
        self._cluster, self._workers, self.notice = cluster, workers, notice
        self._call = cluster.remote(num_cpus=1, max_retries=RETRIES)(called)

    def share(self, value: Value) -> Shared[Value]:
        """See `Engine.share`."""
        return Object([self._cluster.put(value)])

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], ahead: int | None = None
    ) -> Iterator[Result]:
        """See `Engine.map`."""

        def begin(task: Task) -> _Begun[Task]:
            return _Begun(task, self._call.remote(function, task))

        def result(begun: _Begun[Task]) -> Result:
            return self._result(function, begun)

        def cancel(begun: _Begun[Task]) -> None:
            self._cluster.cancel(begun.reference, force=True)

        return in_order(begin, result, cancel, tasks, ahead and ahead * self._workers)

    def keep(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> list[Shared[Result]]:
        """See `Engine.keep`."""
        references = [self._call.remote(function, task) for task in tasks]
        self._cluster.wait(references, num_returns=max(len(references), 1), fetch_local=False)
        return [Object([reference]) for reference in references]

    def _result(self, function: Callable[[Task], Result], begun: _Begun[Task]) -> Result:
        """What a task gives; one whose worker ran out of memory is tried once more, alone on its node."""
        errors = self._cluster.exceptions
        try:
            return self._cluster.get(begun.reference)
        except errors.RayTaskError as error:
            raise error.cause or error from error
        except errors.OutOfMemoryError:
            return self._alone(function, begun.task)
        except errors.RayError as error:
            raise _lost(error) from error

    def _alone(self, function: Callable[[Task], Result], task: Task) -> Result:
        processors = max(
            int(node["Resources"].get("CPU", 0)) for node in self._cluster.nodes() if node["Alive"]
        )
        try:
            call = self._call.options(num_cpus=max(processors, 1), max_retries=0)
            return self._cluster.get(call.remote(function, task))
        except self._cluster.exceptions.RayError as error:
            raise _lost(error) from error


@contextmanager
def ray(workers: int, address: str | None = None) -> Iterator[Engine]:
    """The engine of Ray; leaving the context ends what it started.

    Args:
        workers: tasks at once.
        address: of a cluster, as in RAY_ADDRESS, which it goes before.

    Raises:
        MissingExtraError: ray is not installed.
        InputError: a cluster that is named or was found cannot be joined, or its workers have other versions
            of the packages that decide the bytes.
    """
    try:
        cluster = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray", "engine 'ray'") from error
    if cluster.is_initialized():
        check_versions(cluster)
        yield Ray(cluster, workers, joined(cluster))
        return
    notice = connected(cluster, workers, address)
    try:
        check_versions(cluster)
        yield Ray(cluster, workers, notice)
    finally:
        cluster.shutdown()


def _lost(error: Exception) -> SolverError:
    return SolverError(
        f"the cluster lost a task: {error}\nWhen memory ran out, use fewer workers or larger nodes."
    )
