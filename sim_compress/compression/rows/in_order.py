"""The step that solves blocks in order on regenerated states: later rows repair earlier errors."""

import time
from collections.abc import Sequence
from dataclasses import replace

from sim_compress.compression.allocation.plan import Plan
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined, read_affines, write_affines
from sim_compress.compression.rows.problems import Regression, row_blocks
from sim_compress.compression.rows.side_by_side import assembled, rows_span
from sim_compress.compression.rows.tasks import Planned, Regressed, all_regressed
from sim_compress.compression.rows.unspent import AGAIN, Unspent, unused
from sim_compress.compression.steps.moments import Moments, Problems
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.model import Affine, ImplicitModel, every_use, replaced, rounded_rows, without_vanishing
from sim_compress.states import Visit, by_column, regenerate


def _in_order(turn: Turn[ImplicitModel], moments: Moments, problems: Problems, plan: Plan) -> ImplicitModel:
    target, unspent = turn.target, Unspent(plan)
    model = target.ready.teacher.model
    known = _known(turn, problems, unspent, len(plan.groups))
    if len(known) == len(plan.groups):
        return replaced(model, every_use(model, known))
    done = len(known)
    began = time.perf_counter()

    def rows(visit: Visit) -> Affine:
        nonlocal began, done
        fresh = row_blocks(visit, problems.regression)
        groups = [replace(g, block=b) for g, b in zip(plan.groups[visit.name], fresh, strict=True)]
        groups = unspent.offered(visit.name, groups)
        found = _solved(target, visit, groups, problems.regression)
        tried = groups
        # Of the entries that take the place of those that vanished some may vanish too.
        for _ in range(AGAIN):
            if not (tried := unspent.more(groups, tried, found)):
                break
            again = _solved(target, visit, tried, problems.regression)
            if unused(groups, again) < 0:
                break
            found = again
        unspent.take(visit.name, groups, found)
        now = time.perf_counter()
        kept = joined(write_affines("rows", {visit.name: found}), Kept({}, {"left": dict(unspent.left)}))
        turn.pieces.put(done, kept, now - began)
        began, done = now, done + 1
        return found

    ready = target.ready
    return regenerate(
        ready.teacher,
        ready.designs,
        rows,
        target.engine,
        turn.progress,
        plan.groups,
        moments.behind,
        moments.ahead,
        known,
    )


def _known(turn: Turn[ImplicitModel], problems: Problems, unspent: Unspent, blocks: int) -> dict[str, Affine]:
    """Rows of the blocks that an earlier process has solved, and what these left for others."""
    known: dict[str, Affine] = {}
    for number in range(blocks):
        if (kept := turn.pieces.get(number)) is None:
            break
        known |= read_affines("rows", kept, problems.affines)
        unspent.left = kept.fields["left"]
    if known:
        turn.pieces.say(f"goes on after block {len(known)} of {blocks}")
    return known


def _solved(target: Target, visit: Visit, groups: Sequence[Planned], regression: Regression) -> Affine:
    """The block's rows in the format that is stored; what they lose by it, later rows repair."""
    rounds = 0 if visit.nearest is None else target.rounds
    groups = [replace(g, rough=rounds > 0) for g in groups]
    found = _nearest(visit, groups, all_regressed(target.engine, groups), regression, rounds)
    means = by_column(visit.affine, [gram.feature_mean for gram in visit.grams])
    values = target.settings.values
    # Tuning would undo what rounding does here: only what would vanish leaves before it.
    if target.epochs and values != "float32":
        return without_vanishing(found, values, means)
    return rounded_rows(visit.name, found, values, means)


def _nearest(
    visit: Visit, groups: Sequence[Planned], solved: list[Regressed], regression: Regression, rounds: int
) -> Affine:
    """The block refitted, on the same supports, to targets that move where its phi is flat.

    Where the teacher's state is off, any z that keeps it off will do: the target becomes the nearest such z
    to what the rows give. H stays, so a round is one pass for g and a refit, a rough one but for the last.
    """
    rows = assembled(visit.affine, groups, solved)
    for left in reversed(range(rounds)):
        assert visit.nearest is not None
        moved = row_blocks(replace(visit, grams=visit.nearest(rows)), regression)
        groups = [replace(g, block=b) for g, b in zip(groups, moved, strict=True)]
        solved = [r.refitted(g.block, rough=left > 0) for g, r in zip(groups, solved, strict=True)]
        rows = assembled(visit.affine, groups, solved)
    return rows


IN_ORDER = Step("rows", ("moments", "problems", "plan"), _in_order, rows_span)
