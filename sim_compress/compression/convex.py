"""Rows under the user's own convex f and C (eq. 3): conic solves, the second on the entries that are kept."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.compression.tasks import Planned, Regressed
from sim_compress.core import FORBIDDEN, Ball, Block, Convex, Solution, Status
from sim_compress.core.solvers import Solver
from sim_compress.core.solvers.appraisal import unbounded
from sim_compress.errors import SolverError

FOUND = (Status.OPTIMAL, Status.INEXACT)


def constrained(
    planned: Mapping[str, tuple[Planned, ...]], alpha: float, convex: Convex, chosen: Solver
) -> tuple[dict[str, tuple[Planned, ...]], list[Solution]]:
    """Every block's rows with datafit + alpha f within C, then the least datafit in C on the largest entries.

    Args:
        planned: how many entries each row group keeps.
        alpha: weight of f.
        convex: f and C.
        chosen: a conic solver.

    Raises:
        SolverError: C leaves no row, or the solver finds none.
    """
    inside = Convex(lambda v: 0 * v[0], convex.C)
    solutions: list[Solution] = []
    rows: dict[str, tuple[Planned, ...]] = {}
    for name, own in planned.items():
        groups: list[Planned] = []
        for group in own:
            block = group.block
            first = _solved(name, block.ball, block, convex, alpha, chosen)
            assert group.project is not None, "refused with channels"
            support = group.project(first.rows, group.count)
            second = _solved(name, _only(block, support), block, inside, 0.0, chosen)
            found = Regressed(second.rows * support, block.given | block.constant)
            groups.append(replace(group, support=support, matched=found))
            solutions.append(first)
        rows[name] = tuple(groups)
    return rows, solutions


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
