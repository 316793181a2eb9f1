"""What an engine promises."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]
Progress = Callable[[float], None]
Task = TypeVar("Task")
Result = TypeVar("Result")

NO_ARRAYS: Arrays = {}


def silent(_: float) -> None:
    """The progress callback of a caller who wants none."""


class Engine(Protocol):
    """Runs a pure function over tasks; engines differ in time, never in a byte of the results."""

    @property
    def notice(self) -> str | None:
        """Where tasks run, in one sentence, where the engine had a choice; else None."""
        ...

    def map(
        self,
        function: Callable[[Arrays, Task], Result],
        tasks: Sequence[Task],
        shared: Arrays = NO_ARRAYS,
        progress: Progress = silent,
    ) -> list[Result]:
        """The results of function(shared, task), in the order of the tasks.

        Args:
            function: pure and importable by name; it runs with BLAS and numba at one thread.
            tasks: picklable values; each should take 10 ms or more, or handing it out costs more than it.
            shared: big arrays that every task may read. The function sees them read-only and contiguous
                (in C order unless they are in Fortran order).
            progress: called with the finished part in (0, 1] after each task.

        Raises:
            InputError: a shared array holds Python objects.
            SolverError: a worker died, or there is no memory for the shared arrays.
            Exception: what the function raised, of the first task that failed, with a note of its number.
        """
        ...
