"""An engine with fewer tasks under way than it has room for: each takes memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sim_compress.core.engines.interface import Arrays, Engine, Result, Shared, Task, Value


class Bounded:
    """Hands everything on, with at most `most` tasks that are begun or whose results wait."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine, self._most = engine, most
        self.shares_memory, self.is_here, self.notice = engine.shares_memory, engine.is_here, engine.notice
        self.workers = min(engine.workers, most)

    def share(self, value: Value) -> Shared[Value]:
        """See `Engine.share`."""
        return self._engine.share(value)

    def map(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None
    ) -> Iterator[Result]:
        """See `Engine.map`."""
        return self._engine.map(function, tasks, self._least(most))

    def map_keeping(
        self,
        function: Callable[[Any], tuple[Result, Arrays]],
        tasks: Sequence[Any],
        most: int | None = None,
    ) -> Iterator[tuple[Result, Shared[Arrays]]]:
        """See `Engine.map_keeping`."""
        return self._engine.map_keeping(function, tasks, self._least(most))

    def _least(self, most: int | None) -> int:
        return self._most if most is None else min(most, self._most)
