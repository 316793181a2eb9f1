"""Hand tasks to a crew that works on several at once, and put what comes back in order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol

from sim_compress.core.engines.calls import numbered, pack, unpack
from sim_compress.core.engines.interface import Arrays, Progress, Result, Task


class Crew(Protocol):
    """Workers who have a job's shared arrays."""

    @property
    def has_room(self) -> bool:
        """Whether another task can be taken now."""
        ...

    def ask(self, number: int, message: bytes) -> None:
        """Take a packed task."""
        ...

    def answer(self) -> tuple[int, bytes]:
        """Wait for any task asked; its number and answer."""
        ...


@dataclass(frozen=True)
class Outcomes(Generic[Result]):
    """Results and errors by number of task."""

    results: dict[int, Result] = field(default_factory=dict)
    errors: dict[int, Exception] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.results) + len(self.errors)

    def in_order(self) -> list[Result]:
        """All results; raises the error of the lowest number if there is one."""
        if self.errors:
            raise self.errors[min(self.errors)]
        return [self.results[number] for number in range(len(self.results))]


def dispatch(
    crew: Crew, function: Callable[[Arrays, Task], Result], tasks: Sequence[Task], progress: Progress
) -> Outcomes[Result]:
    """Have all tasks done, whoever is free taking the first one left.

    Tasks go out in order and none goes out after an error, so the error of the lowest number is the one
    that a serial run would have met.
    """
    outcomes: Outcomes[Result] = Outcomes()
    asked = 0
    while True:
        while crew.has_room and asked < len(tasks) and not outcomes.errors:
            crew.ask(asked, pack(function, tasks[asked]))
            asked += 1
        if len(outcomes) == asked:
            return outcomes
        number, answer = crew.answer()
        try:
            with numbered(number, len(tasks)):
                outcomes.results[number] = unpack(answer)
        except Exception as error:  # whatever the function raised
            outcomes.errors[number] = error
        else:
            progress(len(outcomes) / len(tasks))
