"""Exact matching of a whole network (eq. 2, 8, 9): the least objective among rows that give its states."""

from collections.abc import Mapping

import numpy as np

from sim_compress.compression.tasks import Planned, Regressed
from sim_compress.core import Block, Convex, Solution, Status
from sim_compress.core.solvers import Solver
from sim_compress.errors import SolverError

# A bias below this part of what it is the difference of is rounding of float32 moments.
ROUNDING = 1e-6


def matched(
    blocks: Mapping[str, tuple[Block, ...]],
    count: int,
    chosen: Solver,
    convex: Convex | None,
) -> tuple[dict[str, tuple[Planned, ...]], list[Solution]]:
    """The matching rows of every block, which together keep at most `count` weights and new biases.

    Raises:
        SolverError: rows that no row matches, or more weights than the target leaves.
    """
    planned: dict[str, tuple[Planned, ...]] = {}
    solutions: list[Solution] = []
    for name, own in blocks.items():
        found = [chosen.match(b.problems, convex or b.penalty, ball=b.ball) for b in own]
        _check_matched(name, found)
        planned[name] = tuple(_planned(b, s) for b, s in zip(own, found, strict=True))
        solutions += found
    _check_count(planned, count)
    return planned, solutions


def _planned(block: Block, solution: Solution) -> Planned:
    """Rows that match, and the biases that they need for it."""
    problems, V = block.problems, solution.rows
    W, bias = problems.to_network(V)
    size = np.abs(problems.row_mean) + np.abs(W) @ np.abs(problems.feature_mean)
    biased = block.given | (np.abs(bias) > ROUNDING * size)
    count = int(solution.support.sum() + (biased & ~block.given).sum())
    return Planned(block, solution.support, count, matched=Regressed(V, biased))


def _check_matched(name: str, solutions: list[Solution]) -> None:
    ended = [status for s in solutions for status in s.status]
    unmatched = ended.count(Status.MISMATCH)
    if unmatched:
        raise SolverError(f"block {name!r}: {unmatched} of {len(ended)} rows: {Status.MISMATCH.value}")


def _check_count(planned: Mapping[str, tuple[Planned, ...]], count: int) -> None:
    kept = sum(p.count for own in planned.values() for p in own)
    if kept > count:
        raise SolverError(
            f"exact matching keeps {kept:,} weights beside the biases; the target sparsity leaves {count:,}: "
            "ask for less, use fewer samples (a row needs about one weight for each) or relaxed matching"
        )
