"""The last step of every run: all values tuned together, where that is asked for or pays."""

import math
from dataclasses import asdict, dataclass

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined, read_affines, write_affines
from sim_compress.compression.rows.side_by_side import TUNED, rows_span
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Codec, Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.compression.tuning.descent import EPOCHS_PER_ERROR, Tuning, tuned
from sim_compress.model import ImplicitModel, every_use, replaced


@dataclass(frozen=True, eq=False)
class Tuned:
    """A model, and what tuning its values brought."""

    model: ImplicitModel
    tuning: Tuning


def _tuned(turn: Turn[Tuned], problems: Problems, plan: Plan, model: ImplicitModel) -> Tuned:
    target = turn.target
    if not target.epochs:
        return Tuned(model, Tuning())
    chosen = target.settings.tune is None and target.settings.robust is None
    per_error = EPOCHS_PER_ERROR if chosen else math.inf
    own = {n: [b.problems for b in problems.blocks[n]] for n in plan.groups}
    ready = target.ready
    return Tuned(
        *tuned(
            ready.teacher.model,
            model,
            ready.designs,
            own,
            target.epochs,
            target.engine,
            turn.progress,
            per_error,
            turn.pieces,
            target.settings.robust,
        )
    )


def _written(found: Tuned) -> Kept | None:
    if not found.tuning.epochs:
        return None
    model, tuning = found.model, Kept({}, {"tuning": asdict(found.tuning)})
    if not found.tuning.moved:
        return tuning
    return joined(tuning, write_affines("rows", {n: a for n, a in model.affines() if model.owns(n)}))


def _read(_target: Target, kept: Kept, model: ImplicitModel) -> Tuned:
    tuning = Tuning(**kept.fields["tuning"])
    if not tuning.moved:
        return Tuned(model, tuning)
    rows = read_affines("rows", kept, dict(model.affines()))
    return Tuned(replaced(model, every_use(model, rows)), tuning)


def _span(target: Target) -> tuple[str, float, float]:
    stage, _, solved = rows_span(target)
    return stage, solved, TUNED


TUNING = Step("tuned", ("problems", "plan", "rows"), _tuned, _span, codec=Codec(_written, _read, ("rows",)))
