"""The step that solves every row group on the teacher's own states, side by side (Algorithm 1 as printed)."""

from collections.abc import Callable, Mapping, Sequence

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.rows.full_support import without_empty_terms
from sim_compress.compression.rows.problems import with_rows
from sim_compress.compression.rows.tasks import Planned, Regressed, regressed_by
from sim_compress.compression.rows.unspent import spent
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.model import Affine, ImplicitModel, every_use, replaced

# Parts of the rows' stage after which they are solved, where they are tuned then, and after which they are
# tuned: then the model is appraised.
SOLVED, TUNED = 0.5, 0.95


def rows_span(target: Target) -> tuple[str, float, float]:
    """Where the rows lie in the progress of a run."""
    return "rows", 0.0, SOLVED if target.epochs else TUNED


def assembled(affine: Affine, groups: Sequence[Planned], solved: Sequence[Regressed]) -> Affine:
    """A block with solved rows in the network's units."""
    return with_rows(
        affine, [g.block.problems.to_network(*found) for g, found in zip(groups, solved, strict=True)]
    )


def with_all_rows(
    model: ImplicitModel, affines: Mapping[str, Affine], plan: Plan, solved: Sequence[Regressed]
) -> ImplicitModel:
    """A model with solved rows of all groups, in the order of the plan."""
    left = iter(solved)
    rows = {n: assembled(affines[n], own, [next(left) for _ in own]) for n, own in plan.groups.items()}
    return replaced(model, without_empty_terms(every_use(model, rows)))


def _side_by_side(turn: Turn[ImplicitModel], problems: Problems, plan: Plan) -> ImplicitModel:
    target = turn.target
    groups = [g for own in plan.groups.values() for g in own]
    engine = target.engine
    found = regressed_by(engine, groups, turn.progress) if engine else _one_by_one(groups, turn.progress)
    solved = spent(plan, groups, found, target.settings.values)
    return with_all_rows(target.ready.teacher.model, problems.affines, plan, solved)


def _one_by_one(groups: Sequence[Planned], progress: Callable[[float], None]) -> list[Regressed]:
    """The row groups in this process; threads share the rows of each."""
    found: list[Regressed] = []
    for group in groups:
        found.append(group.solved())
        progress(len(found) / len(groups))
    return found


SIDE_BY_SIDE = Step("rows", ("problems", "plan"), _side_by_side, rows_span)
