"""The engine of Ray: tasks on a cluster, whose object store holds what they share.

Tasks are tried again where a worker or its node is lost, and so are those whose results were lost with it:
functions are pure, so the bytes are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module
from typing import Any, Generic

from sim_compress.core.engines.calls import called, in_order
from sim_compress.core.engines.cluster import STARTED, check_nodes, connected, joined
from sim_compress.core.engines.interface import Arrays, Engine, Result, Shared, Task, Value
from sim_compress.core.engines.layout import Packed, packed, unpacked
from sim_compress.core.engines.stored import READ_ONCE
from sim_compress.errors import MissingExtraError, SolverError

# How often a task is tried again whose worker or node is lost.
RETRIES = 4


@dataclass(frozen=True)
class Object(Generic[Value]):
    """A value in the object store; a reference to it travels."""

    reference: list[Any]

    @property
    def value(self) -> Value:
        return _read_once(self.reference[0])

    def drop(self) -> None:
        self.reference.clear()


@dataclass(frozen=True)
class _Kept:
    """Arrays in the object store, as they lie in memory."""

    reference: list[Any]

    @property
    def value(self) -> Arrays:
        return unpacked(_read(self.reference[0]))

    def drop(self) -> None:
        self.reference.clear()


@dataclass(frozen=True)
class _Begun:
    """A task on its way: function and task, and references to its results."""

    asked: tuple[Callable[[Any], Any], Any]
    references: list[Any]


class Ray:
    """Runs at most `workers` tasks at once on a cluster."""

    shares_memory = False

    def __init__(self, cluster: Any, workers: int, notice: str) -> None:
        self._cluster, self.workers, self.notice = cluster, workers, notice
        self.is_here = notice.startswith(STARTED)
        self._call = cluster.remote(num_cpus=1, max_retries=RETRIES)(called)
        self._running: list[Any] = []

    def share(self, value: Value) -> Shared[Value]:
        """See `Engine.share`."""
        return Object([self._cluster.put(value)])

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None
    ) -> Iterator[Result]:
        """See `Engine.map`."""
        return self._in_order(function, tasks, most, lambda begun: self._result(begun)[0], returns=1)

    def map_keeping(
        self,
        function: Callable[[Task], tuple[Result, Arrays]],
        tasks: Sequence[Task],
        most: int | None = None,
    ) -> Iterator[tuple[Result, Shared[Arrays]]]:
        """See `Engine.map_keeping`."""

        def result(begun: _Begun) -> tuple[Result, Shared[Arrays]]:
            found, references = self._result(begun)
            return found, _Kept([references[1]])

        return self._in_order(partial(_packing, function), tasks, most, result, returns=2)

    def _in_order(
        self,
        function: Callable[[Task], Any],
        tasks: Sequence[Task],
        most: int | None,
        result: Callable[[_Begun], Result],
        returns: int,
    ) -> Iterator[Result]:
        def begin(task: Task) -> _Begun:
            # A cluster that was joined may have more processors than were asked for.
            if len(self._running) >= self.workers:
                _, self._running = self._cluster.wait(self._running, num_returns=1, fetch_local=False)
            call = self._call.options(num_returns=returns)
            references = _listed(call.remote(function, task))
            self._running.append(references[0])
            return _Begun((function, task), references)

        def cancel(begun: _Begun) -> None:
            self._cluster.cancel(begun.references[0], force=True)

        return in_order(begin, result, cancel, tasks, most)

    def _result(self, begun: _Begun) -> tuple[Any, list[Any]]:
        """What a task gives, and the references to it and to what is kept.

        One whose worker ran out of memory is tried once more, alone on its node.
        """
        errors = self._cluster.exceptions
        try:
            return self._cluster.get(begun.references[0]), begun.references
        except errors.RayTaskError as error:
            raise error.cause or error from error
        except errors.OutOfMemoryError:
            return self._alone(begun)
        except errors.RayError as error:
            raise _lost(error) from error

    def _alone(self, begun: _Begun) -> tuple[Any, list[Any]]:
        processors = (n["Resources"].get("CPU", 0) for n in self._cluster.nodes() if n["Alive"])
        call = self._call.options(num_cpus=max(processors, default=1), num_returns=len(begun.references))
        try:
            references = _listed(call.remote(*begun.asked))
            return self._cluster.get(references[0]), references
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
        InputError: a cluster that is named or was found cannot be joined, or its nodes have other
            processors or packages, which decide the bytes.
    """
    try:
        cluster = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray", "engine 'ray'") from error
    if cluster.is_initialized():
        check_nodes(cluster)
        yield Ray(cluster, workers, joined(cluster))
        return
    notice = connected(cluster, workers, address)
    try:
        check_nodes(cluster)
        yield Ray(cluster, workers, notice)
    finally:
        _read_once.cache_clear()
        cluster.shutdown()


def _read(reference: Any) -> Any:
    return import_module("ray").get(reference)


# As in files: what a task makes of a value may be dear.
_read_once = lru_cache(maxsize=READ_ONCE)(_read)


def _packing(function: Callable[[Any], tuple[Any, Arrays]], task: Any) -> tuple[Any, dict[str, Packed]]:
    found, arrays = function(task)
    return found, packed(arrays)


def _lost(error: Exception) -> SolverError:
    return SolverError(
        f"the cluster lost a task: {error}\nWhen memory ran out, use fewer workers or larger nodes."
    )


def _listed(references: Any) -> list[Any]:
    """One reference, or several in a list."""
    return references if isinstance(references, list) else [references]
