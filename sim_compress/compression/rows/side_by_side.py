"""The step that solves every row group on the teacher's own states, side by side (Algorithm 1 as printed)."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import packed, unpacked
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
    found = _all(turn, groups)
    solved = spent(plan, groups, found, target.settings.values)
    return with_all_rows(target.ready.teacher.model, problems.affines, plan, solved)


def _all(turn: Turn[ImplicitModel], groups: Sequence[Planned]) -> list[Regressed]:
    """The row groups that no earlier process has solved, by an engine."""
    known = {n: _read(kept) for n in range(len(groups)) if (kept := turn.pieces.get(n)) is not None}
    if known:
        turn.pieces.say(f"goes on after {len(known)} of {len(groups)} row groups")
    left = [n for n in range(len(groups)) if n not in known]
    began = time.perf_counter()
    for place, rows in regressed_by(turn.target.engine, [groups[n] for n in left]):
        known[left[place]] = Regressed(turn.target.storage.kept(rows.V), rows.biased)
        turn.target.storage.release()
        now = time.perf_counter()
        turn.pieces.put(left[place], _written(rows), now - began)
        began = now
        turn.progress(len(known) / len(groups))
    return [known[n] for n in range(len(groups))]


def _written(rows: Regressed) -> Kept:
    support = rows.V != 0
    return Kept(
        {"support": packed(support), "values": rows.V[support], "biased": rows.biased},
        {"features": rows.V.shape[1]},
    )


def _read(kept: Kept) -> Regressed:
    support = unpacked(kept.arrays["support"], kept.fields["features"])
    V = np.zeros(support.shape, kept.arrays["values"].dtype)
    V[support] = kept.arrays["values"]
    return Regressed(V, kept.arrays["biased"])


SIDE_BY_SIDE = Step("rows", ("problems", "plan"), _side_by_side, rows_span)
