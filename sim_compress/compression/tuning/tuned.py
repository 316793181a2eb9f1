"""The last step of every run: all values tuned together, where that is asked for or pays."""

import math
from dataclasses import dataclass

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.rows.side_by_side import TUNED, rows_span
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.descent import EPOCHS_PER_ERROR, Tuning, tuned
from sim_compress.model import ImplicitModel


@dataclass(frozen=True, eq=False)
class Tuned:
    """A model, and what tuning its values brought."""

    model: ImplicitModel
    tuning: Tuning


def _tuned(turn: Turn[Tuned], problems: Problems, plan: Plan, model: ImplicitModel) -> Tuned:
    target = turn.target
    if not target.epochs:
        return Tuned(model, Tuning())
    per_error = EPOCHS_PER_ERROR if target.settings.tune is None else math.inf
    own = {n: [b.problems for b in problems.blocks[n]] for n in plan.groups}
    ready = target.ready
    found = tuned(ready.teacher.model, model, ready.designs, own, target.epochs, turn.progress, per_error)
    return Tuned(*found)


def _span(target: Target) -> tuple[str, float, float]:
    stage, _, solved = rows_span(target)
    return stage, solved, TUNED


TUNING = Step("tuned", ("problems", "plan", "rows"), _tuned, _span)
