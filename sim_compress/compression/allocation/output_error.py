"""What each block's sparsity does to the outputs: every block alone made sparse at a few levels, measured.

The rows come from the block's alpha path by a refit, so a level costs a pass through the rest of the
network on a few calibration inputs and nothing else. No label is used: the error is against the teacher.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.compression.rows.problems import with_rows
from sim_compress.core import Block, Curve, Path, Projection, refit
from sim_compress.core.allocation import rounded
from sim_compress.core.engines import Engine, Shared
from sim_compress.model import Affine, ImplicitModel, every_use
from sim_compress.model.maps import Array
from sim_compress.runtime import Stage, preactivation, schedule
from sim_compress.states import Teacher, dense_product, settle
from sim_compress.states.batches import batches, converted
from sim_compress.storage import IN_MEMORY, Storage

# Levels of density at which a block is tried, as far as its path reaches. Half as many take as long, within
# 2 %, and give 83.02 in place of 83.80 % (CIFAR-10 ResNet-20 at 90 %, not tuned).
DENSITIES = (0.02, 0.05, 0.1, 0.18, 0.3, 0.45, 0.65, 0.85)
# All passes together cost about as much as passing the calibration inputs through so many times. On networks
# whose pass takes more than so many multiplications it is once, which gives the same error of the outputs
# (two layers of MiniLM at 60 %: .0233 with 4, 2 and 1) in four fifths of the time; on CIFAR ResNet-20 2 in
# place of 4 cost 2 % of the error.
PASSES, PASSES_OF_LARGE, LARGE = 4, 1, 5e10
FEWEST, MOST = 2, 32
# Size of an entry of a path that the teacher does not have, against a deviation of one.
TINY = 1e-6
# Where paths begin with more than so many times a density, many entries at one alpha, the largest of these
# are tried: what fewer entries cost could not be guessed from denser levels, which may be exact.
JUMP = 2


# A block, a step of its paths, entries of its supports and how many inputs -> error of the outputs.
Trials = Mapping[tuple[str, int, int, int], float]


@dataclass(frozen=True)
class _Level:
    """One block's rows with some entries, the largest at one step of its paths."""

    name: str
    count: int
    step: int
    whole: bool


def output_curves(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    blocks: Mapping[str, tuple[Block, ...]],
    paths: Mapping[str, tuple[Path, ...]],
    projections: Mapping[str, tuple[Projection, ...]],
    engine: Engine,
    progress: Callable[[float], None],
    known: Trials,
    storage: Storage = IN_MEMORY,
) -> tuple[dict[str, Curve], Trials]:
    """Block or output name -> error of the outputs against the entries the block keeps; and every trial.

    Args:
        teacher: the network.
        affines: the rows that may become sparse.
        inputs: calibration inputs, name -> (samples, ...); some of them are used.
        blocks: their row problems.
        paths: of every row group.
        projections: onto the supports that they may have.
        engine: runs the trials.
        progress: called with the finished part in [0, 1].
        known: trials with shorter paths, which are not made again.
        storage: where problems and paths lie.
    """
    levels = [level for name in affines for level in _levels(name, paths[name])]
    few = some_inputs(teacher.model, inputs, sum(level.whole for level in levels))
    samples = len(next(iter(few.values())))
    keys = [(level.name, level.step, level.count, samples) for level in levels]
    new = [(key, level) for key, level in zip(keys, levels, strict=True) if key not in known]
    trials, trial = dict(known), engine.share(Trial(teacher, few))
    tried = {
        name: engine.share(_Tried(affines[name], blocks[name], paths[name], projections[name]))
        for name in dict.fromkeys(level.name for _, level in new)
    }
    found = engine.map(_error, [_Task(trial, tried[level.name], level) for _, level in new])
    for number, ((key, _), error) in enumerate(zip(new, found, strict=True)):
        trials[key] = error
        storage.release()
        progress((number + 1) / len(new))
    for shared in (trial, *tried.values()):
        shared.drop()
    errors: dict[str, list[tuple[int, float]]] = {name: [] for name in affines}
    for key, level in zip(keys, levels, strict=True):
        errors[level.name].append((level.count, trials[key]))
    sizes = {name: sum(p.size for p in own) for name, own in paths.items()}
    return {name: _curve(sizes[name], measured) for name, measured in errors.items()}, trials


@dataclass(frozen=True)
class _Tried:
    """A block that is tried at several levels."""

    affine: Affine
    blocks: tuple[Block, ...]
    paths: tuple[Path, ...]
    projections: tuple[Projection, ...]


@dataclass(frozen=True)
class _Task:
    """One level of one block."""

    trial: "Shared[Trial]"
    tried: Shared[_Tried]
    level: _Level


def _error(task: _Task) -> float:
    own, level = task.tried.value, task.level
    supports = _supports(own.blocks, own.paths, own.projections, level)
    return task.trial.value.error({level.name: _rows(own.affine, own.blocks, supports)})


def _curve(size: int, measured: Sequence[tuple[int, float]]) -> Curve:
    counts, errors = np.array(measured, float).reshape(-1, 2).T
    return Curve(size, counts, errors)


def _levels(name: str, paths: Sequence[Path]) -> list[_Level]:
    """The steps where a block's paths come nearest to each density, by ascending entries."""
    if not paths:
        return []
    counts = np.sum([p.counts for p in paths], axis=0)
    size = sum(p.size for p in paths)
    # Without any entry, and one level for each count. What nothing costs is measured: guessed from the
    # sparsest levels, which may be no better than fewer entries, it would be little.
    distinct = {0: _Level(name, 0, 0, whole=False)}
    for wanted in (density * size for density in DENSITIES):
        step = int(np.argmin(np.abs(counts - wanted)))
        count, fewer = int(counts[step]), round(wanted)
        if count > JUMP * wanted:
            distinct.setdefault(fewer, _Level(name, fewer, step, whole=False))
        if count:
            distinct[count] = _Level(name, count, step, whole=True)
    return [distinct[count] for count in sorted(distinct)]


def _supports(
    blocks: Sequence[Block], paths: Sequence[Path], projections: Sequence[Projection], level: _Level
) -> list[NDArray[np.bool_]]:
    """The paths' supports at one alpha, or the level's share of them, projected onto the pattern.

    Entries count by the size of the teacher's; those that it does not have count a little.
    """
    held = np.array([p.counts[level.step] for p in paths])
    counts = rounded(held * (level.count / max(held.sum(), 1)), held, level.count)
    return [
        project(np.where(p.support(level.step), np.abs(b.problems.prior) + TINY, 0.0), count)
        for b, p, project, count in zip(blocks, paths, projections, counts, strict=True)
    ]


def _rows(affine: Affine, blocks: Sequence[Block], supports: Sequence[NDArray[np.bool_]]) -> Affine:
    """The block refitted on some supports, without biases that the network does not have."""
    biased = [b.given | b.constant for b in blocks]
    solved = [
        refit(b.problems, s, b.ball, own, rough=True)
        for b, s, own in zip(blocks, supports, biased, strict=True)
    ]
    parts = zip(blocks, solved, biased, strict=True)
    return with_rows(affine, [b.problems.to_network(V, own) for b, V, own in parts])


def some_inputs(model: ImplicitModel, inputs: Mapping[str, Array], passes: int) -> dict[str, Array]:
    """Calibration inputs spread over all of them, as many as the passes can afford."""
    samples = len(next(iter(inputs.values())))
    most = PASSES_OF_LARGE if model.multiplications * samples > LARGE else PASSES
    # A block's pass starts where the block is: half the network on average.
    affordable = int(np.clip(2 * most * samples / max(passes, 1), FEWEST, MOST))
    # States of one batch are held at once: no more inputs than fit into one.
    count = min(affordable, samples, len(next(iter(batches(model, inputs)[0].values()))))
    chosen = np.linspace(0, samples - 1, count).round().astype(int)
    return {name: u[chosen] for name, u in inputs.items()}


class Trial:
    """The teacher's states on a few inputs, and what the outputs become when some blocks have other rows."""

    def __init__(self, teacher: Teacher, inputs: Mapping[str, Array]) -> None:
        self._model = teacher.model
        self._stages = schedule(teacher.model)
        batch = converted(teacher.model.inputs, dict(inputs))
        reading = teacher.whole(batch)
        self._values = {**batch, **reading.states}
        self._outputs = {
            o.name: preactivation(o.affine, self._values, dense_product) for o in self._model.outputs
        }

    def error(self, rows: Mapping[str, Affine]) -> float:
        """Squared error of all outputs relative to their variance, with new rows of some blocks.

        Rows that are shared are given for their owner.
        """
        rows = every_use(self._model, rows)
        values, changed = dict(self._values), set[str]()
        for stage in self._stages:
            fresh = _with(stage, rows)
            if fresh is not stage or changed & _sources(stage):
                values |= settle(fresh, values)
                changed |= {b.name for b in stage.blocks}
        total = 0.0
        for output in self._model.outputs:
            affine = rows.get(output.name, output.affine)
            if output.name in rows or changed & {t.source for t in affine.terms}:
                y, wanted = preactivation(affine, values, dense_product), self._outputs[output.name]
                total += float(np.mean((y - wanted) ** 2, dtype=np.float64)) / _variance(wanted)
        return total


def _with(stage: Stage, rows: Mapping[str, Affine]) -> Stage:
    """The stage with the new rows of its blocks, itself where it has none of them."""
    if not any(b.name in rows for b in stage.blocks):
        return stage
    return replace(stage, blocks=tuple(replace(b, affine=rows.get(b.name, b.affine)) for b in stage.blocks))


def _sources(stage: Stage) -> set[str]:
    return {t.source for b in stage.blocks for t in b.affine.terms}


def _variance(values: Array) -> float:
    """Variance of an output, one where it does not vary."""
    return float(np.var(values, dtype=np.float64)) or 1.0
