"""Live progress of a job's stages on stderr, and the seconds each took."""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from sim_compress.cli.console import ERR


class Stages:
    """Stages in order; a context that removes the display when left, also by an exception.

    Without a terminal each finished stage is one line.

    Attributes:
        begun: when the context was entered.
        seconds: stage -> wall time, for those that are over.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = list(names)
        self._current: str | None = None
        self._began = self.begun = 0.0
        self._display = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=ERR,
            transient=True,
            disable=not ERR.is_terminal,
        )
        self._tasks = {name: self._display.add_task(name, start=False, total=1.0) for name in names}
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self.begun = time.perf_counter()
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        self._display.stop()

    def begin(self, name: str) -> None:
        """End the stage before and start this one, unless it is on; a new name is a stage more."""
        if name == self._current:
            return
        self._finish()
        if name not in self._tasks:
            self._names.append(name)
            self._tasks[name] = self._display.add_task(name, start=False, total=1.0)
        self._current, self._began = name, time.perf_counter()
        self._display.start_task(self._tasks[name])

    def update(self, name: str, part: float) -> None:
        """The finished part of a stage in [0, 1]; the next stage begins where it is all."""
        self.begin(name)
        self._display.update(self._tasks[name], completed=part)
        following = self._names.index(name) + 1
        if part >= 1 and following < len(self._names):
            self.begin(self._names[following])

    def _finish(self) -> None:
        if self._current is None:
            return
        # A stage that is begun again goes on.
        took = time.perf_counter() - self._began
        self.seconds[self._current] = self.seconds.get(self._current, 0.0) + took
        self._display.update(self._tasks[self._current], completed=1.0)
        self._display.stop_task(self._tasks[self._current])
        if not ERR.is_terminal:
            ERR.print(f"{self._current}: {self.seconds[self._current]:.1f} s")
        self._current = None
