"""The serial engine: tasks one after the other in this process."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sim_compress.core.engines.arrays import readable
from sim_compress.core.engines.calls import call, numbered, pack, unpack
from sim_compress.core.engines.interface import NO_ARRAYS, Arrays, Engine, Progress, Result, Task, silent
from sim_compress.core.engines.threads import one_thread


class Serial:
    """Runs tasks here, with BLAS and numba held to one thread until they are done."""

    notice = None

    def map(
        self,
        function: Callable[[Arrays, Task], Result],
        tasks: Sequence[Task],
        shared: Arrays = NO_ARRAYS,
        progress: Progress = silent,
    ) -> list[Result]:
        """See `Engine.map`."""
        arrays = readable(shared)
        results = []
        with one_thread():
            for number, task in enumerate(tasks):
                with numbered(number, len(tasks)):
                    results.append(unpack(call(arrays, pack(function, task))))
                progress(len(results) / len(tasks))
        return results


@contextmanager
def serial(_: int) -> Iterator[Engine]:
    """The serial engine; it has one worker."""
    yield Serial()
