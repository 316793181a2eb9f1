"""The ray engine: tasks on a Ray cluster, whose object store holds the shared arrays.

The cluster is the one RAY_ADDRESS names, else one that runs on this machine, else one started here for as
long as the engine lives.
"""

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sim_compress.core.engines.arrays import readable
from sim_compress.core.engines.calls import call_remotely
from sim_compress.core.engines.dispatch import dispatch
from sim_compress.core.engines.interface import NO_ARRAYS, Arrays, Engine, Progress, Result, Task, silent
from sim_compress.core.engines.threads import one_thread
from sim_compress.errors import InputError, MissingExtraError, SolverError

ADDRESS = "RAY_ADDRESS"
# Seconds for a connection to a cluster that is named.
PATIENCE = 5.0


class Ray:
    """Runs at most `limit` tasks at once on a cluster."""

    def __init__(self, cluster: ModuleType, limit: int, notice: str) -> None:
        self._cluster = cluster
        self._limit = limit
        self.notice = notice

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
        InputError: the cluster that RAY_ADDRESS names, or one that was found, cannot be joined.
    """
    try:
        cluster = import_module("ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError("ray", "ray", "engine 'ray'") from error
    if cluster.is_initialized():
        yield Ray(cluster, workers, _joined(cluster))
        return
    notice = _connected(cluster, workers)
    try:
        yield Ray(cluster, workers, notice)
    finally:
        cluster.shutdown()


def _connected(cluster: ModuleType, workers: int) -> str:
    """Join the cluster that is named or found, else start one; says which."""
    named = os.environ.get(ADDRESS, "")
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if named != "local" and _answers(named):
        try:
            cluster.init(address="auto", **quiet)
            return _joined(cluster)
        except ConnectionError as error:
            if named not in ("", "auto"):
                raise _unreachable(named, error) from error
        except (RuntimeError, ValueError) as error:
            raise _unreachable(named or "found on this machine", error) from error
    cluster.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
    return f"engine 'ray': started a cluster of its own on this machine, with {workers} processors"


def _joined(cluster: ModuleType) -> str:
    address = cluster.get_runtime_context().gcs_address
    processors = int(cluster.cluster_resources().get("CPU", 0))
    return f"engine 'ray': joined the cluster at {address}, which has {processors} processors"


def _answers(named: str) -> bool:
    """Whether something listens at HOST:PORT, named or left in Ray's file; Ray itself would wait for minutes.

    Raises:
        InputError: nothing does where the user named it.
    """
    left = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster")
    address = named if named not in ("", "auto") else left.read_text() if left.is_file() else ""
    host, _, port = address.strip().removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return True
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        if address == named:
            raise _unreachable(named, error) from error
        return False
    return True


def _unreachable(address: str, error: Exception) -> InputError:
    return InputError(
        f"engine 'ray': the cluster {address} cannot be joined ({' '.join(str(error).split())}): check "
        f"{ADDRESS}, or set it to 'local' for a cluster of its own"
    )
