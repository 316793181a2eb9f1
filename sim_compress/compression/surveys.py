"""What the baseline states say of every block, whatever sparsity is asked: Grams, paths, output errors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain

import numpy as np

from sim_compress.compression.checks import weights_to_keep
from sim_compress.compression.embeddings import with_lookups
from sim_compress.compression.leaving import Leaving, leaving
from sim_compress.compression.output_error import Trials, output_curves
from sim_compress.compression.patterns import Pattern, channel_multiple, pattern_of
from sim_compress.compression.rows import Limits, row_limits, row_problems
from sim_compress.compression.scope import Part, parts
from sim_compress.compression.settings import Settings
from sim_compress.compression.unvaried import unvaried
from sim_compress.core import Block, Convex, Curve, Path, Projection, trace
from sim_compress.errors import InputError
from sim_compress.model import Affine
from sim_compress.model.maps import Array
from sim_compress.states import Grams, RowGroup, Teacher, Visit, baseline_grams, merge, row_groups

# progress(stage, finished part in [0, 1])
Progress = Callable[[str, float], None]
# Where blocks have alphas of their own, paths go on to this density of the whole network even when less is
# asked: some blocks keep more than others.
TRACED = 0.5
# Part of the allocation that is over with the survey; the convex rows are the rest.
SURVEYED = 0.9


@dataclass(frozen=True)
class Survey:
    """What the baseline states say of the blocks, whatever sparsity is asked of them.

    Attributes:
        affines: block or output name -> the design its rows may use; those that keep the teacher's rows have
            no entry here nor below.
        limits: the kappa constraint.
        blocks: their row problems.
        projections: of every row group onto the supports it may have.
        fixed: entries that the pattern keeps of every row group; none where the target says how many.
        paths: of every row group, on one grid of alphas; none where rows are matched exactly.
        curves: output error against entries kept; none where the allocation does not ask for it.
        behind: Grams of the uses behind the first of rows that are shared.
        ahead: Grams of all uses of rows that ids are looked up in.
        trials: what the curves are made of, for those of longer paths.
        leaving: the channels that can leave, where the pattern asks for whole ones.
        notes: rows and features of which the calibration inputs say nothing.
    """

    affines: Mapping[str, Affine]
    limits: Limits
    blocks: Mapping[str, tuple[Block, ...]]
    projections: Mapping[str, tuple[Projection, ...]]
    fixed: Mapping[str, tuple[int, ...]]
    paths: Mapping[str, tuple[Path, ...]]
    curves: Mapping[str, Curve]
    behind: Mapping[str, Grams]
    ahead: Mapping[str, Grams]
    trials: Trials = field(default_factory=dict)
    leaving: Leaving | None = None
    notes: tuple[str, ...] = ()


def survey(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    settings: Settings,
    convex: Convex | None,
    progress: Progress,
    known: Survey | None = None,
) -> Survey:
    """Grams, alpha paths and output errors of every block that is compressed.

    Args:
        teacher: the network.
        affines: block or output name -> the design its rows may use.
        inputs: calibration inputs, name -> (samples, ...).
        settings: targets, objective, kappa, matching and allocation.
        convex: f and C in place of the objective.
        progress: called with a stage and its finished part.
        known: a survey under the same settings but for the targets, which were sparser. Its Grams serve
            again and its paths are gone on with where these targets ask for more; the survey is the same
            as without it.

    Raises:
        InputError: the biases alone exceed a target, or a pattern matches nothing.
    """
    scope = parts(teacher.model, teacher.nodes, settings)
    count = sum(counts_to_keep(teacher, scope))
    if known is None:
        inside = {n for part in scope for n in part.names}
        affines = {n: a for n, a in affines.items() if n in inside}
        known = _moments(teacher, affines, inputs, settings, partial(progress, "states"))
        if channel_multiple(settings.pattern):
            told = partial(progress, "allocation")
            return replace(known, leaving=leaving(teacher, affines, inputs, known.blocks, told))
    if settings.matching == "exact" or channel_multiple(settings.pattern):
        return known
    blocks = known.blocks
    allocation = allocation_of(settings, convex)
    if allocation != "alpha":
        fixed = sum(chain.from_iterable(known.fixed.values()))
        half = int(TRACED * sum(b.problems.g.size for own in blocks.values() for b in own))
        count = max(count, fixed, half)
    paths = _paths(known, count, lambda part: progress("allocation", SURVEYED * part / 2))
    if known.paths and _steps(paths) == _steps(known.paths):
        return known
    if allocation != "output":
        return replace(known, paths=paths)
    measured = partial(output_curves, teacher, known.affines, inputs, blocks, paths, known.projections)
    curves, trials = measured(lambda part: progress("allocation", SURVEYED * (1 + part) / 2), known.trials)
    return replace(known, paths=paths, curves=curves, trials=trials)


def _moments(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    settings: Settings,
    progress: Callable[[float], None],
) -> Survey:
    """The row problems alone, and the supports that they may have."""
    limits = row_limits(teacher.model, settings.kappa)
    if settings.support == "full":
        limits = replace(limits, uses={})
    grams, behind = _of_all_uses(teacher, affines, inputs, progress)
    notes = unvaried(affines, grams, inputs, damped=settings.matching == "relaxed")
    ahead = with_lookups(teacher.model, affines, grams)
    moments = {**grams, **ahead}
    blocks = {n: row_blocks(Visit(n, a, moments[n]), settings, limits) for n, a in affines.items()}
    if channel_multiple(settings.pattern):
        return Survey(affines, limits, blocks, {}, {}, {}, {}, behind, ahead, notes=notes)
    pattern = pattern_of(settings.pattern)
    projections = {n: tuple(pattern.projection(a, g) for g in row_groups(a)) for n, a in affines.items()}
    fixed = _fixed(affines, pattern) if settings.matching == "relaxed" else {}
    return Survey(affines, limits, blocks, projections, fixed, {}, {}, behind, ahead, notes=notes)


def _of_all_uses(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    progress: Callable[[float], None],
) -> tuple[dict[str, Grams], dict[str, Grams]]:
    """Grams over all uses of every set of rows, and those behind the first where there are more."""
    own = dict(teacher.model.affines())
    later = {n: tuple(use for use in teacher.model.uses(n) if use not in affines) for n in affines}
    designs = {**affines, **{n: own[n] for names in later.values() for n in names}}
    summed = {n: names[0] for names in later.values() for n in names[1:]}
    found = baseline_grams(teacher, designs, inputs, progress, summed)
    behind = {owner: found[names[0]] for owner, names in later.items() if names}
    for owner, grams in behind.items():
        merge(found[owner], grams)
    return {n: found[n] for n in affines}, behind


def row_blocks(visit: Visit, settings: Settings, limits: Limits) -> tuple[Block, ...]:
    """The row problems of every row group of one block."""
    return tuple(
        row_problems(visit.name, visit.affine, group, gram, settings, limits)
        for group, gram in zip(row_groups(visit.affine), visit.grams, strict=True)
    )


def counts_to_keep(teacher: Teacher, scope: Sequence[Part]) -> list[int]:
    """Weights that each part of the network keeps."""
    own = {n: a for n, a in teacher.model.affines() if teacher.model.owns(n)}
    return [weights_to_keep([own[n] for n in part.names if n in own], part.target) for part in scope]


def allocation_of(settings: Settings, convex: Convex | None) -> str:
    """The allocation that is used.

    Some patterns say themselves what every row keeps; full support and a convex f of the user's have one
    alpha for all.
    """
    if pattern_of(settings.pattern).sparsity is not None:
        return "pattern"
    return "alpha" if settings.support == "full" or convex is not None else settings.allocation


def _fixed(affines: Mapping[str, Affine], pattern: Pattern) -> dict[str, tuple[int, ...]]:
    """What a pattern keeps of every row group; nothing where the target says how many.

    Raises:
        InputError: it keeps no fewer entries than the rows have.
    """
    if pattern.sparsity is None:
        return {}
    fixed = {n: tuple(_kept(pattern, a, g) for g in row_groups(a)) for n, a in affines.items()}
    total, present = sum(map(sum, fixed.values())), sum(w.nnz for a in affines.values() for w in a.weights)
    if total >= present:
        raise InputError(
            f"the pattern keeps {total:,} entries, and the network has {present:,} nonzero weights: choose a "
            "pattern that keeps fewer"
        )
    return fixed


def _kept(pattern: Pattern, affine: Affine, group: RowGroup) -> int:
    every = np.ones((group.rows.stop - group.rows.start, group.width))
    return int(pattern.projection(affine, group)(every, every.size).sum())


def _paths(known: Survey, count: int, progress: Callable[[float], None]) -> dict[str, tuple[Path, ...]]:
    """Paths of every row group, down to where all hold the count together."""
    blocks = list(chain.from_iterable(known.blocks.values()))
    before = list(chain.from_iterable(known.paths.values()))
    traced = iter(trace(blocks, count, known=before, progress=progress))
    return {name: tuple(next(traced) for _ in own) for name, own in known.blocks.items()}


def _steps(paths: Mapping[str, Sequence[Path]]) -> int:
    """Alphas of the grid that all paths share."""
    return max((len(p.alphas) for own in paths.values() for p in own), default=0)
