"""What one target takes from a survey: how many entries each row group keeps, and a support to start from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.certificate import Scaling
from sim_compress.compression.allocation.paths import Paths, projections, traced
from sim_compress.compression.allocation.scope import Part
from sim_compress.compression.allocation.shares import Allocation, Share
from sim_compress.compression.appraisal.outcomes import Outcomes, outcomes
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined, packed, read_records, unpacked, write_records
from sim_compress.compression.rows.patterns import pattern_of
from sim_compress.compression.rows.tasks import Planned, Solve, searched
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Codec, Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.core import Block, Path, Projection, Solution, Status
from sim_compress.core.engines import Engine, Shared, one_by_one_or
from sim_compress.core.solvers import Solver
from sim_compress.model import ImplicitModel
from sim_compress.storage import IN_MEMORY, Storage


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
    plan = Step(
        "plan", inputs, partial(_planned, allocation), _last, codec=Codec(written, _read, ("problems",))
    )
    return (paths_step(allocation), *measured, plan)


def paths_step(allocation: Allocation) -> Step[Paths]:
    """The alpha paths, as far down as an allocation needs them."""

    def matters(target: Target) -> Any:
        return [target.settings.pattern, allocation.depth(target.affines, sum(target.counts))]

    return Step(
        "paths",
        ("problems",),
        partial(_paths, allocation),
        lambda _: ("allocation", 0.0, 0.45),
        grows=lambda _: [],
        matters=matters,
        codec=Codec(_paths_written, _paths_read, ("problems",)),
    )


def _paths_written(paths: Paths) -> Kept:
    return joined(write_records("paths", paths.of), Kept({}, {"count": paths.count}))


def _paths_read(target: Target, kept: Kept, problems: Problems) -> Paths:
    onto = projections(problems, pattern_of(target.settings.pattern))
    return Paths(read_records("paths", Path, kept), onto, kept.fields["count"])


def _last(_target: Any) -> tuple[str, float, float]:
    return "allocation", 0.9, 1.0


def _paths(allocation: Allocation, turn: Turn[Paths], problems: Problems) -> Paths:
    target = turn.target
    count = allocation.depth(target.affines, sum(target.counts))
    return traced(
        problems,
        pattern_of(target.settings.pattern),
        count,
        target.engine,
        turn.progress,
        turn.known,
        target.storage,
    )


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
        planned, found = started(problems, paths, shares, target.ready.chosen, target.engine, target.storage)
        alphas |= {alpha for share in shares.values() for alpha, _ in share}
        groups |= planned
        solutions += found
    return Plan(target.scope, groups, outcomes(solutions), tuple(sorted(alphas)), allocation.free)


@dataclass(frozen=True)
class _Convex:
    """The convex rows of one row group at its alpha, and where they start."""

    block: Block
    alpha: float
    start: Path
    chosen: Solver


def _convex(task: Shared[_Convex]) -> Solution:
    asked = task.value
    block = asked.block
    return asked.chosen.solve(
        block.problems, block.penalty, asked.alpha, ball=block.ball, start=asked.start.rows
    )


def started(
    problems: Problems,
    paths: Paths,
    shares: Mapping[str, Sequence[Share]],
    chosen: Solver,
    engine: Engine,
    storage: Storage = IN_MEMORY,
) -> tuple[dict[str, tuple[Planned, ...]], list[Solution]]:
    """The convex rows of every row group at its alpha: their supports are where the search begins.

    Returns:
        What every row group keeps, and how its rows ended, without them.
    """
    groups: dict[str, tuple[Planned, ...]] = {}
    tasks = [
        engine.share(_Convex(block, alpha, path, chosen))
        for name, own in shares.items()
        for block, path, (alpha, _) in zip(problems.blocks[name], paths.of[name], own, strict=True)
    ]
    supports, solutions = list[NDArray[np.bool_]](), list[Solution]()
    for found in one_by_one_or(engine, _convex, tasks):
        supports.append(storage.kept(found.support))
        solutions.append(replace(found, rows=found.rows[:, :0].copy()))
        storage.release()
    for task in tasks:
        task.drop()
    left = iter(supports)
    for name, own in shares.items():
        found = [next(left) for _ in own]
        decided = zip(problems.blocks[name], found, own, paths.projections[name], strict=True)
        groups[name] = tuple(Planned(b, s, count, project, searched) for b, s, (_, count), project in decided)
    return groups, solutions


def written(plan: Plan) -> Kept:
    """A plan's own part of what is kept of it: supports, counts and outcomes."""
    arrays = {
        f"supports.{place}.{group}": packed(g.support)
        for place, own in enumerate(plan.groups.values())
        for group, g in enumerate(own)
    }
    counts = [[name, [g.count for g in own]] for name, own in plan.groups.items()]
    return Kept(
        arrays,
        {
            "counts": counts,
            "ended": {status.name: n for status, n in plan.outcomes.rows.items()},
            "gap": plan.outcomes.gap,
            "alphas": list(plan.alphas),
            "free": plan.free,
        },
    )


def read_plan(
    target: Target, kept: Kept, problems: Problems, onto: Mapping[str, Sequence[Projection]], solve: Solve
) -> dict[str, Any]:
    """Arguments of a plan of which `written` wrote its part.

    Args:
        target: what it was made for.
        kept: what was written.
        problems: the row problems.
        onto: projections of every row group.
        solve: of every row group.
    """
    groups: dict[str, tuple[Planned, ...]] = {}
    for place, (name, counts) in enumerate(kept.fields["counts"]):
        own = zip(problems.blocks[name], counts, onto[name], strict=True)
        groups[name] = tuple(
            Planned(b, _support(kept, place, group, b.problems.features), count, project, solve)
            for group, (b, count, project) in enumerate(own)
        )
    ended = {Status[name]: n for name, n in kept.fields["ended"].items()}
    ordered = {status: ended[status] for status in Status if status in ended}
    return {
        "scope": target.scope,
        "groups": groups,
        "outcomes": Outcomes(ordered, kept.fields["gap"]),
        "alphas": tuple(kept.fields["alphas"]),
        "free": kept.fields["free"],
    }


def _support(kept: Kept, place: int, group: int, features: int) -> NDArray[np.bool_]:
    return unpacked(kept.arrays[f"supports.{place}.{group}"], features)


def _read(target: Target, kept: Kept, problems: Problems) -> Plan:
    onto = projections(problems, pattern_of(target.settings.pattern))
    return Plan(**read_plan(target, kept, problems, onto, searched))
