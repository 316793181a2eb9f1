"""Plans that hold the rows themselves, and the step that takes them as they were found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sim_compress.compression.allocation.plan import Plan, read_plan, written
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined
from sim_compress.compression.rows.side_by_side import rows_span, with_all_rows
from sim_compress.compression.rows.tasks import Regressed, Solve
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.core import Projection
from sim_compress.model import ImplicitModel


@dataclass(frozen=True, eq=False)
class Found(Plan):
    """A plan with its rows.

    Attributes:
        rows: of every row group, in the order of the groups.
    """

    rows: tuple[Regressed, ...]


def _as_found(turn: Turn[ImplicitModel], problems: Problems, plan: Found) -> ImplicitModel:
    return with_all_rows(turn.target.ready.teacher.model, problems.affines, plan, plan.rows)


def written_found(plan: Found) -> Kept:
    """The plan with its rows."""
    arrays = {f"V.{n}": r.V for n, r in enumerate(plan.rows)}
    return joined(written(plan), Kept(arrays | {f"biased.{n}": r.biased for n, r in enumerate(plan.rows)}))


def read_found(
    target: Target, kept: Kept, problems: Problems, onto: Mapping[str, Sequence[Projection]], solve: Solve
) -> Found:
    """The plan again; arguments as for `read_plan`."""
    own = read_plan(target, kept, problems, onto, solve)
    count = sum(len(groups) for groups in own["groups"].values())
    rows = (Regressed(kept.arrays[f"V.{n}"], kept.arrays[f"biased.{n}"]) for n in range(count))
    return Found(**own, rows=tuple(rows))


AS_FOUND = Step("rows", ("problems", "plan"), _as_found, rows_span)
