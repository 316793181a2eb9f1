"""What an engine promises."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from numpy.typing import NDArray

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)
Task = TypeVar("Task")
Result = TypeVar("Result")
Arrays = dict[str, NDArray[Any]]


class Shared(Protocol[Value_co]):
    """A value that lies where every worker can read it; it travels to them as a few bytes.

    Arrays in it are read-only to workers. They must be contiguous: how an array lies in memory decides the
    path that BLAS takes, and so the last bits of a product.
    """

    @property
    def value(self) -> Value_co:
        """The value; arrays are mapped, not copied, where the engine can."""
        ...

    def drop(self) -> None:
        """Let go of it: no worker reads it any more."""
        ...


class Engine(Protocol):
    """Runs pure functions over tasks; engines differ in time, never in a byte of the results."""

    @property
    def shares_memory(self) -> bool:
        """Whether tasks run in this process: work with threads of its own then does better one by one."""
        ...

    @property
    def workers(self) -> int:
        """How many tasks run at once."""
        ...

    @property
    def is_here(self) -> bool:
        """Whether tasks take the memory of this machine."""
        ...

    @property
    def notice(self) -> str | None:
        """Where tasks run, in one sentence, where the engine had a choice; else None."""
        ...

    def share(self, value: Value) -> Shared[Value]:
        """Lay a value down once for every worker.

        Raises:
            InputError: there is no room for it.
        """
        ...

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None
    ) -> Iterator[Result]:
        """The results of function(task), in the order of the tasks, as they come.

        Args:
            function: pure and importable by name; it runs with BLAS and numba at one thread.
            tasks: values that can be pickled, small ones and what `share` gave; each should take 10 ms or
                more, or handing it out costs more than it.
            most: tasks that may be begun, or whose results wait for those of earlier ones; any number if not
                given.

        Raises:
            SolverError: a worker died, and again where the engine tries again.
            Exception: what the function raised, of the first task that failed, with a note of its number.
        """
        ...

    def map_keeping(
        self,
        function: Callable[[Task], tuple[Result, Arrays]],
        tasks: Sequence[Task],
        most: int | None = None,
    ) -> Iterator[tuple[Result, Shared[Arrays]]]:
        """Like `map`, but the arrays beside each result stay where the workers are, for later tasks.

        Raises:
            InputError: there is no room for them.
        """
        ...


class Here(Generic[Value]):
    """A value in the memory of this process."""

    def __init__(self, value: Value) -> None:
        self._value: list[Value] = [value]

    @property
    def value(self) -> Value:
        return self._value[0]

    def drop(self) -> None:
        self._value.clear()
