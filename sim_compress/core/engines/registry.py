"""Engines by name."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from sim_compress.core.engines.cluster import SCHEME
from sim_compress.core.engines.interface import Engine
from sim_compress.core.engines.limits import available_cpus
from sim_compress.core.engines.ray import ray
from sim_compress.core.engines.threads import threads
from sim_compress.errors import InputError


def _processes(workers: int) -> AbstractContextManager[Engine]:
    # loky is imported where it is asked for.
    from sim_compress.core.engines.processes import processes

    return processes(workers)


# A maker takes the number of workers and gives a context that holds them.
_MAKERS: dict[str, Callable[[int], AbstractContextManager[Engine]]] = {
    "threads": threads,
    "processes": _processes,
    "ray": ray,
}


def engine_names() -> tuple[str, ...]:
    """Names that `engine` takes, the default first."""
    return tuple(_MAKERS)


def engine(name: str = "threads", workers: int | None = None) -> AbstractContextManager[Engine]:
    """A context that gives an engine and, on leaving it in any way, ends its workers.

    Args:
        name: one of `engine_names()`, or `ray://HOST:PORT` for the cluster with this address.
        workers: how many tasks run at once; by default one for each CPU this process may use.

    Raises:
        InputError: an unknown name, or no workers; on entering, a cluster that cannot be used.
        MissingExtraError: on entering, the engine needs a package that is not installed.
    """
    if name not in _MAKERS and not name.startswith(SCHEME):
        raise InputError(f"unknown engine {name!r}; known: {', '.join(engine_names())}, {SCHEME}HOST:PORT")
    if workers is not None and workers < 1:
        raise InputError(f"engine {name!r} needs at least one worker, got {workers}")
    make = _MAKERS[name] if name in _MAKERS else partial(ray, address=name)
    return make(available_cpus() if workers is None else workers)


@contextmanager
def given_or_threads(chosen: Engine | None) -> Iterator[Engine]:
    """The engine that a caller gave, which the caller ends; else threads, as long as the context lasts."""
    if chosen is not None:
        yield chosen
        return
    with engine() as own:
        yield own
