"""Plans that hold the rows themselves, and the step that takes them as they were found."""

from dataclasses import dataclass

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.rows.side_by_side import rows_span, with_all_rows
from sim_compress.compression.rows.tasks import Regressed
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step, Turn
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


AS_FOUND = Step("rows", ("problems", "plan"), _as_found, rows_span)
