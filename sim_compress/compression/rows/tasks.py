"""One row group as a task that any engine can run."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.core import Block, Projection, RowProblems, WithBias, polish, refit
from sim_compress.core.engines import Engine, Shared, one_by_one_or
from sim_compress.core.gram import Matrix


@dataclass(frozen=True)
class Planned:
    """A row group with what the allocation decided for it.

    Attributes:
        block: its row problems.
        support: where to start from, (rows, features).
        count: entries to keep, biases that the network does not have among them.
        project: onto the supports that the rows may have.
        solve: gives the rows; a function that can be pickled.
        rough: whether the rows only serve to move targets, to which they are refitted.
    """

    block: Block
    support: NDArray[np.bool_]
    count: int
    project: Projection
    solve: "Solve"
    rough: bool = False

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

    def refitted(self, block: Block, *, rough: bool) -> "Regressed":
        """The rows on the same support with the same biases, for other targets."""
        V = refit(block.problems, self.V != 0, block.ball, self.biased, rough=rough, start=self.V)
        return Regressed(V, self.biased)


Solve = Callable[[Planned], Regressed]


def fitted(planned: Planned) -> Regressed:
    """The rows on the planned support within kappa, for one that is found already."""
    block = planned.block
    always = block.given | block.constant
    V = refit(block.problems, planned.support, block.ball, always, rough=planned.rough)
    return Regressed(V, always)


def searched(planned: Planned) -> Regressed:
    """The planned support refitted, polished and refitted within kappa."""
    block = planned.block
    problems, ball, always = block.problems, block.ball, block.given | block.constant
    start = refit(problems, planned.support, biased=always, rough=True)
    # Rows of a block share its entries by their errors in the network's own units: a row that varies little
    # matters little, whatever its relative error.
    weights = problems.row_scale / (np.sqrt(np.mean(problems.row_scale**2)) or 1.0)
    count = max(planned.count - int(block.constant.sum()), 0)
    if always.all():
        support = polish(problems, start, count, block.allowed, weights, planned.project)
        return Regressed(refit(problems, support, ball, always, rough=planned.rough), always)
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
    return Regressed(refit(problems, support, ball, biased, rough=planned.rough), biased)


def _with_biases(problems: RowProblems, V: Matrix, biased: NDArray[np.bool_]) -> Matrix:
    """Rows with their biases behind them, as the constant's weights."""
    m, mu = problems.means
    return np.column_stack([V, np.where(biased, mu - V @ m, 0.0)])


def regressed_by(engine: Engine, groups: Sequence[Planned]) -> Iterator[tuple[int, Regressed]]:
    """The number and the rows of every row group, the costly ones first.

    One of them asked last would keep a single worker busy at the end. Where workers share memory, and where
    there is one group alone, threads share the rows of each.
    """
    if len(groups) == 1:
        yield 0, groups[0].solved()
        return
    order = sorted(range(len(groups)), key=lambda number: -_cost(groups[number].block.problems))
    shared = [engine.share(groups[number]) for number in order]
    for number, group, rows in zip(order, shared, one_by_one_or(engine, _regressed, shared), strict=True):
        group.drop()
        yield number, rows


def all_regressed(engine: Engine, groups: Sequence[Planned]) -> list[Regressed]:
    """The rows of every row group, in order."""
    found = dict(regressed_by(engine, groups))
    return [found[number] for number in range(len(groups))]


def _cost(problems: RowProblems) -> int:
    """Operations of the polish, up to a factor: an eigendecomposition and products with the rows."""
    return problems.features**2 * (problems.features + problems.rows)


def _regressed(group: Shared[Planned]) -> Regressed:
    return group.value.solved()
