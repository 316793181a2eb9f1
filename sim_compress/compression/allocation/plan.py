"""What one target takes from a survey: how many entries each row group keeps, and a support to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sim_compress.certificate import Scaling
from sim_compress.compression.allocation.paths import Paths, traced
from sim_compress.compression.allocation.scope import Part
from sim_compress.compression.allocation.shares import Allocation, Share
from sim_compress.compression.appraisal.outcomes import Outcomes, outcomes
from sim_compress.compression.rows.patterns import pattern_of
from sim_compress.compression.rows.tasks import Planned, searched
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.core import Solution
from sim_compress.core.solvers import Solver
from sim_compress.model import ImplicitModel


@dataclass(frozen=True, eq=False)
class Plan:
    """One target's share of a survey.

    Attributes:
        scope: the blocks by target.
        groups: block or output name -> supports to start from and entries to keep, by row group.
        outcomes: how the convex rows ended.
        alphas: at which they were solved, ascending.
        free: whether entries that a block cannot use can go to others.
    """

    scope: tuple[Part, ...]
    groups: Mapping[str, tuple[Planned, ...]]
    outcomes: Outcomes
    alphas: tuple[float, ...]
    free: bool

    @property
    def notes(self) -> tuple[str, ...]:
        """Choices made for the user."""
        return ()

    @property
    def kept(self) -> Mapping[str, Any]:
        """Block name -> which of its channels stay, (channels,), for those that may lose some."""
        return {}

    def narrowed(self, model: ImplicitModel, scaling: Scaling) -> tuple[ImplicitModel, Scaling]:
        """The model and the scaling of its states without the channels that leave."""
        return model, scaling


def plan_steps(allocation: Allocation) -> tuple[Step[Any], ...]:
    """The steps from the row problems to a plan: paths, what the allocation measures, and convex rows."""
    measured = allocation.measured
    inputs = ("problems", "paths", *(step.name for step in measured))
    return (paths_step(allocation), *measured, Step("plan", inputs, partial(_planned, allocation), _last))


def paths_step(allocation: Allocation) -> Step[Paths]:
    """The alpha paths, as far down as an allocation needs them."""
    span = ("allocation", 0.0, 0.45)
    return Step("paths", ("problems",), partial(_paths, allocation), lambda _: span, grows=True)


def _last(_target: Any) -> tuple[str, float, float]:
    return "allocation", 0.9, 1.0


def _paths(allocation: Allocation, turn: Turn[Paths], problems: Problems) -> Paths:
    target = turn.target
    count = allocation.depth(problems, sum(target.counts))
    return traced(problems, pattern_of(target.settings.pattern), count, turn.progress, turn.known)


def _planned(
    allocation: Allocation, turn: Turn[Plan], problems: Problems, paths: Paths, *measured: Any
) -> Plan:
    """Entries and supports for the settings' targets, from the convex rows at each block's alpha."""
    target = turn.target
    alphas: set[float] = set()
    groups: dict[str, tuple[Planned, ...]] = {}
    solutions: list[Solution] = []
    for part, count in zip(target.scope, target.counts, strict=True):
        shares = allocation.share(problems, paths, part.names, count, *measured)
        planned, found = started(problems, paths, shares, target.ready.chosen)
        alphas |= {alpha for share in shares.values() for alpha, _ in share}
        groups |= planned
        solutions += found
    return Plan(target.scope, groups, outcomes(solutions), tuple(sorted(alphas)), allocation.free)


def started(
    problems: Problems, paths: Paths, shares: Mapping[str, Sequence[Share]], chosen: Solver
) -> tuple[dict[str, tuple[Planned, ...]], list[Solution]]:
    """The convex rows of every row group at its alpha: their supports are where the search begins."""
    groups: dict[str, tuple[Planned, ...]] = {}
    solutions: list[Solution] = []
    for name, own in shares.items():
        pairs = zip(problems.blocks[name], paths.of[name], own, strict=True)
        found = [
            chosen.solve(b.problems, b.penalty, alpha, ball=b.ball, start=p.rows)
            for b, p, (alpha, _) in pairs
        ]
        decided = zip(problems.blocks[name], found, own, paths.projections[name], strict=True)
        groups[name] = tuple(
            Planned(b, s.support, count, project, searched) for b, s, (_, count), project in decided
        )
        solutions += found
    return groups, solutions
