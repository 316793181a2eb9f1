"""Rows under the user's own convex f and C (eq. 3): conic solves, the second on the entries that are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.compression.allocation.paths import Paths
from sim_compress.compression.allocation.plan import paths_step, started
from sim_compress.compression.allocation.shares import ALPHA, Allocation, allocation_of
from sim_compress.compression.appraisal.outcomes import outcomes
from sim_compress.compression.appraisal.reached import of_supports
from sim_compress.compression.method import Method, Unused
from sim_compress.compression.methods.baseline import NO_ROUNDS
from sim_compress.compression.methods.found import AS_FOUND, Found
from sim_compress.compression.rows.patterns import WholeChannels, pattern_of
from sim_compress.compression.rows.tasks import Planned, Regressed
from sim_compress.compression.settings import Settings
from sim_compress.compression.steps.moments import MOMENTS, PROBLEMS, Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.tuned import TUNING
from sim_compress.core import FORBIDDEN, Ball, Block, Convex, Solution, Status
from sim_compress.core.solvers import NATIVE, Solver
from sim_compress.core.solvers.appraisal import unbounded
from sim_compress.errors import InputError, SolverError

FOUND = (Status.OPTIMAL, Status.INEXACT)


def _plan(allocation: Allocation, turn: Turn[Found], problems: Problems, paths: Paths) -> Found:
    target, ready = turn.target, turn.target.ready
    assert ready.convex is not None, "the map of methods"
    alphas: set[float] = set()
    groups, rows = dict[str, tuple[Planned, ...]](), list[Regressed]()
    solutions: list[Solution] = []
    for part, count in zip(target.scope, target.counts, strict=True):
        shares = allocation.share(problems, paths, part.names, count)
        planned, _ = started(problems, paths, shares, ready.chosen, target.engine, target.storage)
        own = {alpha for share in shares.values() for alpha, _ in share}
        planned, solved, found = constrained(planned, max(own), ready.convex, ready.chosen)
        alphas |= own
        groups |= planned
        rows += solved
        solutions += found
    return Found(target.scope, groups, outcomes(solutions), tuple(sorted(alphas)), False, tuple(rows))


def constrained(
    planned: Mapping[str, tuple[Planned, ...]], alpha: float, convex: Convex, chosen: Solver
) -> tuple[dict[str, tuple[Planned, ...]], list[Regressed], list[Solution]]:
    """Every block's rows with datafit + alpha f within C, then the least datafit in C on the largest entries.

    Args:
        planned: how many entries each row group keeps.
        alpha: weight of f.
        convex: f and C.
        chosen: a conic solver.

    Returns:
        The row groups with their supports, their rows, one group after the other, and how they ended.

    Raises:
        SolverError: C leaves no row, or the solver finds none.
    """
    inside = Convex(lambda v: 0 * v[0], convex.C)
    solutions: list[Solution] = []
    rows: list[Regressed] = []
    supported: dict[str, tuple[Planned, ...]] = {}
    for name, own in planned.items():
        groups: list[Planned] = []
        for group in own:
            block = group.block
            first = _solved(name, block.ball, block, convex, alpha, chosen)
            support = group.project(first.rows, group.count)
            second = _solved(name, _only(block, support), block, inside, 0.0, chosen)
            rows.append(Regressed(second.rows * support, block.given | block.constant))
            groups.append(replace(group, support=support))
            solutions.append(first)
        supported[name] = tuple(groups)
    return supported, rows, solutions


def _solved(
    name: str, ball: Ball | None, block: Block, convex: Convex, alpha: float, chosen: Solver
) -> Solution:
    """Every row with the bias that the network gives it, or none: C says what weights may be."""
    biased = block.given | block.constant
    V, multiplier, gap = np.zeros_like(block.problems.g), np.zeros(len(biased)), np.zeros(len(biased))
    status = [Status.OPTIMAL] * len(biased)
    # Rows of nothing that varies are zero; cvxpy takes no problem without a datafit.
    for rows in filter(np.any, (biased, ~biased) if block.allowed.any() else ()):
        own = block.problems.only(rows)
        inside = None if ball is None else Ball(ball.weights[rows], ball.radius[rows])
        found = chosen.solve(own if rows is biased else own.through_origin(), convex, alpha, ball=inside)
        V[rows], multiplier[rows], gap[rows] = found.rows, found.multiplier, found.gap
        for row, ended in zip(np.flatnonzero(rows), found.status, strict=True):
            status[row] = ended
            _check(name, int(row), ended)
    return Solution(V, multiplier, gap, tuple(status))


def _check(name: str, row: int, status: Status) -> None:
    if status is Status.NO_ROOM:
        raise SolverError(
            f"block {name!r}, row {row}: no row lies in C and within kappa; widen C (v are standard "
            "coordinates, docs/mathematics.md) or lower the target sparsity"
        )
    if status not in FOUND:
        raise SolverError(f"block {name!r}, row {row}, with the given f and C: {status.value}")


def _only(block: Block, support: NDArray[np.bool_]) -> Ball:
    """The block's ball without the entries outside a support."""
    ball = block.ball or unbounded(block.problems)
    return Ball(np.where(support, ball.weights, FORBIDDEN), ball.radius)


def _steps(target: Target) -> Sequence[Step[Any]]:
    allocation = allocation_of(ALPHA, pattern_of(target.settings.pattern))
    plan = Step("plan", ("problems", "paths"), partial(_plan, allocation), lambda _: ("allocation", 0.9, 1.0))
    return MOMENTS, PROBLEMS, paths_step(allocation), plan, AS_FOUND, TUNING


def _check_settings(settings: Settings) -> None:
    if isinstance(pattern_of(settings.pattern), WholeChannels):
        raise InputError("rows of whole channels are least squares: they have no convex f and C of your own")
    if settings.solver == NATIVE:
        raise InputError("a convex f and C of your own need a conic solver: Settings(..., solver='clarabel')")


NO_OBJECTIVE = Unused("objective", (), "a convex f of your own takes its place")
CONVEX = Method(
    name="convex",
    steps=_steps,
    unused=(
        Unused("allocation", ("alpha",), "a convex f and C of your own have one alpha for all blocks"),
        Unused("states", ("baseline",), "a convex f and C of your own are always on baseline states"),
        NO_ROUNDS,
        NO_OBJECTIVE,
    ),
    missed=of_supports,
    check=_check_settings,
    untunable="tuning moves the values of rows out of a C of your own: leave it out",
)
