"""How the convex row problems of a compression ended, counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sim_compress.core import Solution, Status

SOLVED = (Status.OPTIMAL, Status.FALLBACK)


@dataclass(frozen=True)
class Outcomes:
    """Row problems of the whole network.

    Attributes:
        rows: outcome -> how many rows ended so; only those that occurred, in the order of `Status`.
        gap: largest relative duality gap among the solved rows.
    """

    rows: Mapping[Status, int]
    gap: float

    @property
    def named(self) -> dict[str, int]:
        """The counts by the outcomes' names in lower case."""
        return {status.name.lower(): count for status, count in self.rows.items()}

    @property
    def warnings(self) -> tuple[str, ...]:
        """A sentence for each outcome other than a solved row."""
        return tuple(
            f"{count:,} row problems: {status.value}"
            for status, count in self.rows.items()
            if status not in SOLVED
        )


def outcomes(solutions: Iterable[Solution]) -> Outcomes:
    """Outcomes of the rows of all blocks."""
    counts: Counter[Status] = Counter()
    largest = 0.0
    for solution in solutions:
        counts.update(solution.status)
        # A convex f of the user's has no gap.
        solved = np.array([s in SOLVED for s in solution.status], bool) & np.isfinite(solution.gap)
        largest = max(largest, float(solution.gap[solved].max(initial=0.0)))
    return Outcomes({s: counts[s] for s in Status if counts[s]}, largest)
