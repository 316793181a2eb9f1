"""One alpha for the whole network: the penalty weight at which the supports have the asked size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball, Solution
from sim_compress.core.solvers.coordinate_descent import solve

# The bracket of log(alpha) shrinks below this: the supports at its ends then differ by a few entries.
RESOLUTION = 1e-3


@dataclass(frozen=True)
class Block:
    """One block's rows as the allocation sees them."""

    problems: RowProblems
    penalty: Penalty
    ball: Ball | None = None


@dataclass(frozen=True)
class Allocation:
    """alpha, each block's solution at it, and how many entries each block keeps (they sum to the target)."""

    alpha: float
    solutions: tuple[Solution, ...]
    counts: tuple[int, ...]


def allocate(
    blocks: Sequence[Block],
    count: int,
    *,
    tolerance: float = 1e-3,
    progress: Callable[[float], None] = lambda _: None,
) -> Allocation:
    """Find alpha by bisection on its logarithm, each block warm-started from the nearest alpha solved.

    Args:
        blocks: the row problems of every block.
        count: nonzero weights to keep over all blocks.
        tolerance: relative duality gap; supports need no more.
        progress: called with the finished part of the search in [0, 1].
    """
    high = max(float(np.abs(b.problems.g).max(initial=0.0)) for b in blocks)
    low = high * 1e-6
    starts: list[Solution | None] = [None] * len(blocks)
    solutions: list[Solution] = []
    alpha = high
    first = width = np.log(high / low)
    while width > RESOLUTION:
        alpha = float(np.sqrt(low * high))
        solutions = [
            solve(
                b.problems,
                b.penalty,
                alpha,
                ball=b.ball,
                start=None if s is None else s.rows,
                tolerance=tolerance,
            )
            for b, s in zip(blocks, starts, strict=True)
        ]
        starts = list(solutions)
        found = sum(int(s.support.sum()) for s in solutions)
        if abs(found - count) <= 0.0005 * count:
            break
        low, high = (alpha, high) if found > count else (low, alpha)
        width = np.log(high / low)
        progress(1 - width / first)
    return Allocation(alpha, tuple(solutions), _exact_counts(solutions, count))


def _exact_counts(solutions: Sequence[Solution], count: int) -> tuple[int, ...]:
    """The solutions' own counts, moved in proportion so that they sum to the target."""
    found = np.array([int(s.support.sum()) for s in solutions], float)
    sizes = np.array([s.rows.size for s in solutions])
    wanted = np.minimum(found * count / max(found.sum(), 1.0), sizes)
    counts = np.floor(wanted).astype(int)
    # Floors lose less than one entry a block: the largest remainders get them back.
    for index in np.argsort(counts - wanted, kind="stable")[: count - int(counts.sum())]:
        counts[index] += counts[index] < sizes[index]
    return tuple(int(c) for c in counts)
