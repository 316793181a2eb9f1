"""The first steps of every run: Grams on the teacher's own states, and the row problems made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sim_compress.compression.appraisal.unvaried import unvaried
from sim_compress.compression.resume import Kept
from sim_compress.compression.resume.records import joined, read_records, write_records
from sim_compress.compression.rows.embeddings import with_lookups
from sim_compress.compression.rows.problems import PENALTIES, Regression, row_blocks, row_limits
from sim_compress.compression.steps.step import Codec, Step, Turn
from sim_compress.compression.steps.target import Target
from sim_compress.core import Block, Gram
from sim_compress.model import Affine
from sim_compress.states import Grams, Visit, baseline_grams, merge


@dataclass(frozen=True, eq=False)
class Moments:
    """Grams of every block that is compressed.

    Attributes:
        grams: block or output name -> over all uses of its rows.
        behind: the same of the uses behind the first, for rows that have several.
        ahead: of rows that ids are looked up in, the lookups included.
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
    target = turn.target
    found = baseline_grams(
        ready.teacher,
        designs,
        ready.designs,
        target.engine,
        turn.progress,
        summed,
        target.storage,
        target.gram_bytes,
    )
    behind = {owner: found[names[0]] for owner, names in later.items() if names}
    for owner, grams in behind.items():
        merge(found[owner], grams)
    grams = {n: found[n] for n in affines}
    return Moments(grams, behind, with_lookups(model, affines, grams))


def _problems(turn: Turn, moments: Moments) -> Problems:
    ready, settings, affines = turn.target.ready, turn.target.settings, turn.target.affines
    design, damping = settings.design, ready.method.damping
    limits = row_limits(ready.teacher.model, settings.kappa, design)
    regression = Regression(PENALTIES[settings.objective], damping, limits, design)
    grams = {**moments.grams, **moments.ahead}
    storage, blocks = turn.target.storage, dict[str, tuple[Block, ...]]()
    for n, a in affines.items():
        blocks[n] = tuple(map(storage.kept, row_blocks(Visit(n, a, grams[n]), regression)))
        storage.release()
    notes = unvaried(affines, moments.grams, ready.designs, damped=damping > 0)
    return Problems(affines, regression, blocks, notes)


def _written(moments: Moments) -> Kept:
    return joined(write_records("grams", moments.grams), write_records("behind", moments.behind))


def _read(target: Target, kept: Kept) -> Moments:
    grams = read_records("grams", Gram, kept)
    ahead = with_lookups(target.ready.teacher.model, target.affines, grams)
    return Moments(grams, read_records("behind", Gram, kept), ahead)


def _designs(target: Target) -> Any:
    ready = target.ready
    return [list(target.affines), target.settings.support, ready.method.ties_tables, ready.mirrored]


def _posed(target: Target) -> Any:
    settings = target.settings
    return [settings.objective, settings.kappa, settings.support, target.ready.method.damping]


MOMENTS = Step(
    "moments",
    (),
    _moments,
    lambda _: ("states", 0.0, 1.0),
    shared=True,
    matters=_designs,
    codec=Codec(_written, _read),
)
# As soon made again as read.
PROBLEMS = Step(
    "problems", ("moments",), _problems, lambda _: ("states", 1.0, 1.0), shared=True, matters=_posed
)
