"""Tasks on their way: called at one thread, and their results put in order."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from sim_compress.core.engines.interface import Engine, Result, Task
from sim_compress.core.engines.limits import one_thread

Begun = TypeVar("Begun")


def called(function: Callable[[Task], Result], task: Task) -> Result:
    """function(task) with BLAS and numba at one thread, in a process of a worker's own."""
    with one_thread():
        return function(task)


def in_order(
    begin: Callable[[Task], Begun],
    result: Callable[[Begun], Result],
    cancel: Callable[[Begun], object],
    tasks: Sequence[Task],
    most: int | None,
) -> Iterator[Result]:
    """Results in the order of their tasks, each with its number on an error.

    Args:
        begin: hands a task out.
        result: waits for what it gives.
        cancel: gives up a task whose result nobody waits for any more.
        most: tasks that may be begun and not taken; any number if not given.
    """
    begun: deque[Begun] = deque()
    left = iter(tasks)
    try:
        for number in range(len(tasks)):
            while (most is None or len(begun) < most) and number + len(begun) < len(tasks):
                begun.append(begin(next(left)))
            try:
                found = result(begun.popleft())
            except Exception as error:
                error.add_note(f"This was task {number + 1} of {len(tasks)}.")
                raise
            yield found
    finally:
        for task in begun:
            cancel(task)


def one_by_one_or(
    engine: Engine, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    """Results in order of work that has threads of its own: one after the other where memory is shared."""
    return map(function, tasks) if engine.shares_memory else engine.map(function, tasks)
