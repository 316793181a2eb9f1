"""What one target takes from a survey: how many entries each row group keeps, and a support to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from sim_compress.compression.convex import constrained
from sim_compress.compression.exact import matched
from sim_compress.compression.leaving import remaining, whole_words
from sim_compress.compression.outcomes import Outcomes, outcomes
from sim_compress.compression.patterns import channel_multiple
from sim_compress.compression.scope import Part, parts
from sim_compress.compression.settings import Settings
from sim_compress.compression.surveys import Progress, Survey, allocation_of, counts_to_keep
from sim_compress.compression.tasks import Planned
from sim_compress.core import Convex, Path, Solution, allocate, share
from sim_compress.core.allocation import rounded
from sim_compress.core.solvers import Solver
from sim_compress.states import Teacher

# alpha and entries to keep of one row group
Share = tuple[float, int]


@dataclass(frozen=True)
class Plan:
    """One target's share of a survey: supports to start from and entries to keep, by block and row group.

    `scope` has the targets of the blocks. Where whole channels leave, `channels` says for each block which of
    its channels stay; `notes` name the blocks of which none could leave.
    """

    settings: Settings
    survey: Survey
    scope: tuple[Part, ...]
    alphas: tuple[float, ...]
    groups: Mapping[str, tuple[Planned, ...]]
    outcomes: Outcomes
    channels: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def plan(
    teacher: Teacher,
    known: Survey,
    settings: Settings,
    chosen: Solver,
    convex: Convex | None,
    progress: Progress,
) -> Plan:
    """Entries and supports for the settings' targets, from the convex rows at each block's alpha.

    Args:
        teacher: the network.
        known: its survey under the same settings but for the targets.
        settings: targets, allocation and matching.
        chosen: solves the convex rows.
        convex: f and C in place of the objective.
        progress: called when the allocation is over.

    Raises:
        InputError: the biases alone exceed a target.
        SolverError: rows that no row matches exactly, or that C leaves no room.
    """
    scope = parts(teacher.model, teacher.nodes, settings)
    if known.leaving is not None:
        stays, channels = remaining(
            known.leaving,
            teacher.model,
            known.blocks,
            settings.target_sparsity,
            channel_multiple(settings.pattern),
        )
        progress("allocation", 1.0)
        notes = whole_words(known.leaving.channels.whole)
        return Plan(settings, known, scope, (), stays, outcomes(()), channels, notes)
    alphas: set[float] = set()
    groups: dict[str, tuple[Planned, ...]] = {}
    solutions: list[Solution] = []
    for part, count in zip(scope, counts_to_keep(teacher, scope), strict=True):
        if settings.matching == "exact":
            planned, found = matched({n: known.blocks[n] for n in part.names}, count, chosen, convex)
        else:
            shares = _allocated(known, part.names, count, allocation_of(settings, convex))
            planned, found = _started(known, shares, chosen)
            own = {alpha for share in shares.values() for alpha, _ in share}
            if convex is not None:
                planned, found = constrained(planned, max(own), convex, chosen)
            alphas |= own
        groups |= planned
        solutions += found
    progress("allocation", 1.0)
    return Plan(settings, known, scope, tuple(sorted(alphas)), groups, outcomes(solutions))


def _started(
    known: Survey, shares: Mapping[str, Sequence[Share]], chosen: Solver
) -> tuple[dict[str, tuple[Planned, ...]], list[Solution]]:
    """The convex rows of every row group at its alpha: their supports are where the search begins."""
    groups: dict[str, tuple[Planned, ...]] = {}
    solutions: list[Solution] = []
    for name, own in shares.items():
        problems = zip(known.blocks[name], known.paths[name], own, strict=True)
        found = [
            chosen.solve(b.problems, b.penalty, alpha, ball=b.ball, start=p.rows)
            for b, p, (alpha, _) in problems
        ]
        decided = zip(known.blocks[name], found, own, known.projections[name], strict=True)
        groups[name] = tuple(Planned(b, s.support, count, project) for b, s, (_, count), project in decided)
        solutions += found
    return groups, solutions


def _allocated(known: Survey, names: Sequence[str], count: int, allocation: str) -> dict[str, list[Share]]:
    """Shares of every row group by block name; their entries sum to the count."""
    match allocation:
        case "pattern":
            pairs = {n: zip(known.paths[n], known.fixed[n], strict=True) for n in names}
            return {n: [_shares([path], kept)[0] for path, kept in pairs[n]] for n in names}
        case "alpha":
            every = list(chain.from_iterable(known.paths[n] for n in names))
            shares = iter(_shares(every, count))
            return {n: [next(shares) for _ in known.paths[n]] for n in names}
        case "uniform":
            sizes = np.array([sum(p.size for p in known.paths[n]) for n in names])
            counts = rounded(count * sizes / max(sizes.sum(), 1), sizes, count)
        case _:
            counts = share([known.curves[n] for n in names], count)
    return {n: _shares(known.paths[n], own) for n, own in zip(names, counts, strict=True)}


def _shares(paths: Sequence[Path], count: int) -> list[Share]:
    """One alpha for some row groups, and how the count falls to them at it."""
    if not paths:
        return []
    together = allocate(paths, count)
    return [(together.alpha, own) for own in together.counts]
