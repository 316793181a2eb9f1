"""Exact matching of a whole network (eq. 2, 8, 9): the least objective among rows that give its states."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.allocation.scope import Part
from sim_compress.compression.appraisal.outcomes import outcomes
from sim_compress.compression.method import Method, Reason, Unused
from sim_compress.compression.methods.baseline import NO_ROUNDS, VALUES_STAY
from sim_compress.compression.methods.found import AS_FOUND, Found, read_found, written_found
from sim_compress.compression.resume import Kept
from sim_compress.compression.rows.patterns import UNSTRUCTURED
from sim_compress.compression.rows.tasks import Planned, Regressed, fitted
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.moments import MOMENTS, PROBLEMS, Problems
from sim_compress.compression.steps.step import Codec, Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.tuned import TUNING
from sim_compress.core import Block, Convex, Solution, Status, largest
from sim_compress.core.solvers import Solver
from sim_compress.errors import InputError, SolverError
from sim_compress.model import Affine

# A bias below this part of what it is the difference of is rounding of float32 moments.
ROUNDING = 1e-6


def _plan(turn: Turn[Found], problems: Problems) -> Found:
    target, solutions = turn.target, list[Solution]()
    groups, rows = dict[str, tuple[Planned, ...]](), list[Regressed]()
    for part, count in zip(target.scope, target.counts, strict=True):
        own = {n: problems.blocks[n] for n in part.names}
        ready = target.ready
        planned, solved, found = matched(own, count, ready.chosen, ready.convex)
        groups |= planned
        rows += solved
        solutions += found
    return Found(target.scope, groups, outcomes(solutions), (), False, tuple(rows))


def matched(
    blocks: Mapping[str, tuple[Block, ...]],
    count: int,
    chosen: Solver,
    convex: Convex | None,
) -> tuple[dict[str, tuple[Planned, ...]], list[Regressed], list[Solution]]:
    """The matching rows of every block, which together keep at most `count` weights and new biases.

    Returns:
        What every row group keeps, its rows, one group after the other, and how they ended.

    Raises:
        SolverError: rows that no row matches, or more weights than the target leaves.
    """
    planned: dict[str, tuple[Planned, ...]] = {}
    rows: list[Regressed] = []
    solutions: list[Solution] = []
    for name, own in blocks.items():
        found = [chosen.match(b.problems, convex or b.penalty, ball=b.ball) for b in own]
        _check_matched(name, found)
        solved = [_with_biases(b, s) for b, s in zip(own, found, strict=True)]
        planned[name] = tuple(_planned(b, r) for b, r in zip(own, solved, strict=True))
        rows += solved
        solutions += found
    _check_count(planned, count)
    return planned, rows, solutions


def _with_biases(block: Block, solution: Solution) -> Regressed:
    """Rows that match, and the biases that they need for it."""
    problems, V = block.problems, solution.rows
    W, bias = problems.to_network(V)
    size = np.abs(problems.row_mean) + np.abs(W) @ np.abs(problems.feature_mean)
    return Regressed(V, block.given | (np.abs(bias) > ROUNDING * size))


def _planned(block: Block, rows: Regressed) -> Planned:
    support = rows.V != 0
    count = int(support.sum() + (rows.biased & ~block.given).sum())
    return Planned(block, support, count, largest, fitted)


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


def _steps(_target: Target) -> Sequence[Step[Any]]:
    codec = Codec(written_found, _read, ("problems",))
    plan = Step("plan", ("problems",), _plan, lambda _: ("allocation", 0.0, 1.0), codec=codec)
    return MOMENTS, PROBLEMS, plan, AS_FOUND, TUNING


def _read(target: Target, kept: Kept, problems: Problems) -> Found:
    onto = {n: [largest] * len(own) for n, own in problems.blocks.items()}
    return read_found(target, kept, problems, onto, fitted)


def _check(settings: Settings) -> None:
    if settings.pattern != UNSTRUCTURED:
        raise InputError(
            f"exact matching decides the supports itself: no pattern {settings.pattern}; use relaxed matching"
        )


def _missed(_settings: Settings, _plan: Plan, _part: Part, _after: Mapping[str, Affine]) -> Reason:
    return "exact matching decides it, and needs no more weights", None


EXACT = Method(
    name="exact",
    steps=_steps,
    unused=(
        Unused("allocation", (), "exact matching decides itself what every row keeps"),
        Unused("states", ("baseline",), "exact matching is always on baseline states"),
        NO_ROUNDS,
        Unused("augment", ("none",), "exact matching takes the inputs as they are"),
    ),
    missed=_missed,
    check=_check,
    # Damped rows match nothing but the teacher's.
    damping=0.0,
    mirrors=False,
    ties_tables=False,
    untunable=VALUES_STAY,
    several="exact matching decides the sparsity itself",
)
