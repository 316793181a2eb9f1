"""What each block's sparsity does to the outputs: every block alone made sparse at a few levels, measured.

The rows come from the block's alpha path by a refit, so a level costs a pass through the rest of the
network on a few calibration inputs and nothing else. No label is used: the error is against the teacher.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim_compress.compression.rows import with_rows
from sim_compress.core import Block, Curve, Path, Projection, refit
from sim_compress.model import Affine, ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import Stage, preactivation, schedule
from sim_compress.states import Teacher, dense_product, settle
from sim_compress.states.batches import batches, converted, in_order

# Levels of density at which a block is tried, as far as its path reaches.
DENSITIES = (0.02, 0.05, 0.1, 0.18, 0.3, 0.45, 0.65, 0.85)
# All passes together cost about as much as passing the calibration inputs through so many times.
PASSES = 4
FEWEST, MOST = 4, 32
# Size of an entry of a path that the teacher does not have, against a deviation of one.
TINY = 1e-6


# A block, a step of its paths and how many inputs it was tried on -> error of the outputs.
Trials = Mapping[tuple[str, int, int], float]


@dataclass(frozen=True)
class _Level:
    """One block's rows at one step of its paths."""

    name: str
    count: int
    step: int


def output_curves(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    blocks: Mapping[str, tuple[Block, ...]],
    paths: Mapping[str, tuple[Path, ...]],
    projections: Mapping[str, tuple[Projection, ...]],
    progress: Callable[[float], None],
    known: Trials,
) -> tuple[dict[str, Curve], Trials]:
    """Block or output name -> error of the outputs against the entries the block keeps; and every trial.

    Args:
        teacher: the network.
        affines: the rows that may become sparse.
        inputs: calibration inputs, name -> (samples, ...); some of them are used.
        blocks: their row problems.
        paths: of every row group.
        projections: onto the supports that they may have.
        progress: called with the finished part in [0, 1].
        known: trials with shorter paths, which are not made again.
    """
    levels = [level for name in affines for level in _levels(name, paths[name])]
    few = some_inputs(teacher.model, inputs, len(levels))
    samples = len(next(iter(few.values())))
    new = [level for level in levels if (level.name, level.step, samples) not in known]
    trials, trial = dict(known), Trial(teacher, few)

    def tried(number: int) -> float:
        name, step = new[number].name, new[number].step
        supports = _supports(blocks[name], paths[name], projections[name], step)
        return trial.error({name: _rows(affines[name], blocks[name], supports)})

    found = in_order(tried, len(new))
    for number, (level, error) in enumerate(zip(new, found, strict=True)):
        trials[level.name, level.step, samples] = error
        progress((number + 1) / len(new))
    errors: dict[str, list[tuple[int, float]]] = {name: [] for name in affines}
    for level in levels:
        errors[level.name].append((level.count, trials[level.name, level.step, samples]))
    sizes = {name: sum(p.rows.size for p in own) for name, own in paths.items()}
    return {name: _curve(sizes[name], measured) for name, measured in errors.items()}, trials


def _curve(size: int, measured: Sequence[tuple[int, float]]) -> Curve:
    counts, errors = np.array(measured, float).reshape(-1, 2).T
    return Curve(size, counts, errors)


def _levels(name: str, paths: Sequence[Path]) -> list[_Level]:
    """The steps where a block's paths come nearest to each density."""
    if not paths:
        return []
    counts = np.sum([p.counts for p in paths], axis=0)
    size = sum(p.rows.size for p in paths)
    steps = {int(np.argmin(np.abs(counts - density * size))) for density in DENSITIES}
    # One level for each count; rows of zeros have no logarithm of a count to offer.
    distinct = {int(counts[step]): step for step in sorted(steps) if counts[step]}
    return [_Level(name, count, step) for count, step in distinct.items()]


def _supports(
    blocks: Sequence[Block], paths: Sequence[Path], projections: Sequence[Projection], step: int
) -> list[NDArray[np.bool_]]:
    """The paths' supports at one alpha, projected onto the pattern.

    Entries count by the size of the teacher's; those that it does not have count a little.
    """
    return [
        project(np.where(p.support(step), np.abs(b.problems.prior) + TINY, 0.0), int(p.counts[step]))
        for b, p, project in zip(blocks, paths, projections, strict=True)
    ]


def _rows(affine: Affine, blocks: Sequence[Block], supports: Sequence[NDArray[np.bool_]]) -> Affine:
    """The block refitted on some supports."""
    solved = [refit(b.problems, support, b.ball) for b, support in zip(blocks, supports, strict=True)]
    return with_rows(affine, [b.problems.to_network(V) for b, V in zip(blocks, solved, strict=True)])


def some_inputs(model: ImplicitModel, inputs: Mapping[str, Array], passes: int) -> dict[str, Array]:
    """Calibration inputs spread over all of them, as many as the passes can afford."""
    samples = len(next(iter(inputs.values())))
    # A block's pass starts where the block is: half the network on average.
    affordable = int(np.clip(2 * PASSES * samples / max(passes, 1), FEWEST, MOST))
    # States of one batch are held at once: no more inputs than fit into one.
    count = min(affordable, samples, len(next(iter(batches(model, inputs)[0].values()))))
    chosen = np.linspace(0, samples - 1, count).round().astype(int)
    return {name: u[chosen] for name, u in inputs.items()}


class Trial:
    """The teacher's states on a few inputs, and what the outputs become when some blocks have other rows."""

    def __init__(self, teacher: Teacher, inputs: Mapping[str, Array]) -> None:
        self._model = teacher.model
        self._stages = schedule(teacher.model)
        batch = converted(teacher.model, dict(inputs))
        reading = teacher.baseline(batch)
        self._values = {**batch, **reading.states}
        self._outputs = {
            o.name: preactivation(o.affine, self._values, dense_product) for o in self._model.outputs
        }

    def error(self, rows: Mapping[str, Affine]) -> float:
        """Squared error of all outputs relative to their variance, with new rows of some blocks."""
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
