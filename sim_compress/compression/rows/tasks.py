"""One row group as a task that any engine can run: arrays that workers share, and what they do with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.core import Ball, Block, Penalty, Projection, RowProblems, WithBias, polish, refit
from sim_compress.core.engines import Arrays, Engine, Progress
from sim_compress.core.gram import Matrix

PARTS = tuple(f.name for f in fields(RowProblems))


@dataclass(frozen=True)
class Planned:
    """A row group with what the allocation decided for it.

    Attributes:
        block: its row problems.
        support: where to start from, (rows, features).
        count: entries to keep, biases that the network does not have among them.
        project: onto the supports that the rows may have.
        solve: gives the rows; a function that can be pickled.
    """

    block: Block
    support: NDArray[np.bool_]
    count: int
    project: Projection
    solve: "Solve"

    def solved(self) -> "Regressed":
        """The rows."""
        return self.solve(self)


class Regressed(NamedTuple):
    """Rows of one row group.

    Attributes:
        V: in standard coordinates, (rows, features).
        biased: (rows,) which rows have a bias.
    """

    V: Matrix
    biased: NDArray[np.bool_]

    def refitted(self, block: Block) -> "Regressed":
        """The rows on the same support with the same biases, for other targets."""
        return Regressed(refit(block.problems, self.V != 0, block.ball, self.biased), self.biased)


Solve = Callable[[Planned], Regressed]


def fitted(planned: Planned) -> Regressed:
    """The rows on the planned support within kappa, for one that is found already."""
    block = planned.block
    always = block.given | block.constant
    return Regressed(refit(block.problems, planned.support, block.ball, always), always)


def searched(planned: Planned) -> Regressed:
    """The planned support refitted, polished and refitted within kappa."""
    block = planned.block
    problems, ball, always = block.problems, block.ball, block.given | block.constant
    start = refit(problems, planned.support, biased=always)
    # Rows of a block share its entries by their errors in the network's own units: a row that varies little
    # matters little, whatever its relative error.
    weights = problems.row_scale / (np.sqrt(np.mean(problems.row_scale**2)) or 1.0)
    count = max(planned.count - int(block.constant.sum()), 0)
    if always.all():
        support = polish(problems, start, count, block.allowed, weights, planned.project)
        return Regressed(refit(problems, support, ball, always), always)
    project = WithBias(planned.project, always)
    whole = polish(
        problems.with_constant(),
        _with_biases(problems, start, always),
        count,
        np.column_stack([block.allowed, problems.row_scale > 0]),
        weights,
        project,
    )
    support, biased = whole[:, :-1], whole[:, -1]
    return Regressed(refit(problems, support, ball, biased), biased)


def _with_biases(problems: RowProblems, V: Matrix, biased: NDArray[np.bool_]) -> Matrix:
    """Rows with their biases behind them, as the constant's weights."""
    m, mu = problems.means
    return np.column_stack([V, np.where(biased, mu - V @ m, 0.0)])


def regressed_by(engine: Engine, groups: Sequence[Planned], progress: Progress) -> list[Regressed]:
    """The rows of every row group, in order.

    The costly ones are asked first: one of them asked last would keep a single worker busy at the end.
    """
    shared: dict[str, NDArray[Any]] = {}
    for number, group in enumerate(groups):
        shared |= {f"{number}.{part}": getattr(group.block.problems, part) for part in PARTS}
        shared[f"{number}.support"] = group.support
        shared[f"{number}.biased"] = group.block.given
        if group.block.ball is not None:
            shared[f"{number}.weights"] = group.block.ball.weights
            shared[f"{number}.radius"] = group.block.ball.radius
    order = sorted(range(len(groups)), key=lambda number: -_cost(groups[number].block.problems))
    tasks = [(n, groups[n].block.penalty, groups[n].count, groups[n].project, groups[n].solve) for n in order]
    solved = dict(zip(order, engine.map(_regress, tasks, shared, progress), strict=True))
    return [solved[number] for number in range(len(groups))]


def _cost(problems: RowProblems) -> int:
    """Operations of the polish, up to a factor: an eigendecomposition and products with the rows."""
    return problems.features**2 * (problems.features + problems.rows)


def _regress(shared: Arrays, task: tuple[int, Penalty, int, Projection, Solve]) -> Regressed:
    number, penalty, count, project, solve = task
    problems = RowProblems(**{part: shared[f"{number}.{part}"] for part in PARTS})
    bounded = f"{number}.weights" in shared
    ball = Ball(shared[f"{number}.weights"], shared[f"{number}.radius"]) if bounded else None
    block = Block(problems, penalty, ball, shared[f"{number}.biased"])
    return Planned(block, shared[f"{number}.support"], count, project, solve).solved()
