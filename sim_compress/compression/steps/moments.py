"""The first steps of every run: Grams on the teacher's own states, and the row problems made of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sim_compress.compression.appraisal.unvaried import unvaried
from sim_compress.compression.rows.embeddings import with_lookups
from sim_compress.compression.rows.problems import PENALTIES, Regression, row_blocks, row_limits
from sim_compress.compression.steps.step import Step, Turn
from sim_compress.core import Block
from sim_compress.model import Affine
from sim_compress.states import Grams, Visit, baseline_grams, merge


@dataclass(frozen=True, eq=False)
class Moments:
    """Grams of every block that is compressed.

    Attributes:
        grams: block or output name -> over all uses of its rows.
        behind: the same of the uses behind the first, for rows that have several.
        ahead: the same with the lookups, for rows that ids are looked up in.
    """

    grams: Mapping[str, Grams]
    behind: Mapping[str, Grams]
    ahead: Mapping[str, Grams]


@dataclass(frozen=True, eq=False)
class Problems:
    """The row problems of every block that is compressed.

    Attributes:
        affines: block or output name -> the design its rows may use.
        regression: how its moments became problems.
        blocks: the problems of its row groups.
        notes: rows and features of which the calibration inputs say nothing.
    """

    affines: Mapping[str, Affine]
    regression: Regression
    blocks: Mapping[str, tuple[Block, ...]]
    notes: tuple[str, ...]


def _moments(turn: Turn) -> Moments:
    """One pass over the calibration inputs."""
    ready = turn.target.ready
    model, affines = ready.teacher.model, turn.target.affines
    own = dict(model.affines())
    later = {n: tuple(use for use in model.uses(n) if use not in affines) for n in affines}
    designs = {**affines, **{n: own[n] for names in later.values() for n in names}}
    summed = {n: names[0] for names in later.values() for n in names[1:]}
    found = baseline_grams(ready.teacher, designs, ready.designs, turn.progress, summed)
    behind = {owner: found[names[0]] for owner, names in later.items() if names}
    for owner, later_grams in behind.items():
        merge(found[owner], later_grams)
    grams = {n: found[n] for n in affines}
    return Moments(grams, behind, with_lookups(model, affines, grams))


def _problems(turn: Turn, moments: Moments) -> Problems:
    ready, settings, affines = turn.target.ready, turn.target.settings, turn.target.affines
    design, damping = settings.design, ready.method.damping
    limits = row_limits(ready.teacher.model, settings.kappa, design)
    regression = Regression(PENALTIES[settings.objective], damping, limits, design)
    grams = {**moments.grams, **moments.ahead}
    blocks = {n: row_blocks(Visit(n, a, grams[n]), regression) for n, a in affines.items()}
    notes = unvaried(affines, moments.grams, ready.designs, damped=damping > 0)
    return Problems(affines, regression, blocks, notes)


MOMENTS = Step("moments", (), _moments, lambda _: ("states", 0.0, 1.0), shared=True)
PROBLEMS = Step("problems", ("moments",), _problems, lambda _: ("states", 1.0, 1.0), shared=True)
