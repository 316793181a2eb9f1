"""One network at many sparsities over one survey: the whole curve, or the sparsest model within a bound."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from sim_compress.compilation import companion
from sim_compress.compression.allocation.counts import highest_sparsity
from sim_compress.compression.allocation.scope import REST, parts
from sim_compress.compression.calibration import Calibration
from sim_compress.compression.compressed import Compressed
from sim_compress.compression.prepared import KERNELS, Prepared, prepared
from sim_compress.compression.resume import RunFolder
from sim_compress.compression.runs import Run
from sim_compress.compression.settings import Settings
from sim_compress.core import Convex
from sim_compress.core.engines import Engine, given_or_threads
from sim_compress.errors import InputError
from sim_compress.model.maps import Shape
from sim_compress.runtime import Checked

# progress(target sparsity, stage of STAGES, finished part in [0, 1])
LevelProgress = Callable[[float, str, float], None]
# The search asks for whole parts of so many: percents.
RESOLUTION = 100
# A drop is a difference of parts of the samples; rounding of the difference must not exceed a bound.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Tried:
    """One step of a search: a target sparsity and the drop that was measured at it."""

    sparsity: float
    drop: float

    def within(self, bound: float) -> bool:
        """Whether the drop is not above a bound."""
        return self.drop <= bound + ROUNDING


@dataclass(frozen=True)
class Found:
    """The end of a search.

    Attributes:
        compressed: the sparsest model that stays within the bound.
        tried: every level in the order it was tried.
    """

    compressed: Compressed
    tried: tuple[Tried, ...]


def sweep(
    network: object,
    inputs: Calibration | Checked,
    settings: Settings,
    levels: Sequence[float],
    progress: LevelProgress = lambda _level, _stage, _part: None,
    engine: Engine | None = None,
    convex: Convex | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
    folder: RunFolder | None = None,
    memory: int | None = None,
) -> Iterator[Compressed]:
    """The network compressed to every level, the sparsest first, over one survey.

    Grams are computed once, alpha paths go on from level to level, and output errors are measured where the
    paths are new. Each level is what `compress` gives with that target, to the byte.

    Args:
        network, inputs, engine, convex, input_shapes, folder, memory: as for `compress`.
        settings: of every level but for the target sparsity, which is the level. Blocks with a target of
            their own keep it.
        levels: target sparsities, each in (0, 1), none twice, in any order.
        progress: called with a level, a stage of STAGES and its finished part; the stage `states` belongs
            to the first level alone.

    Raises:
        InputError: a level lies outside its range or comes twice, or as for `compress`; before any work.
        SolverError: the solver has no licence, or C leaves no room at a level.
        MissingExtraError: the solver's package is not installed.
    """
    steps = [replace(settings, target_sparsity=level) for level in sorted(levels, reverse=True)]
    if not steps:
        raise InputError("a sweep needs at least one level")
    if len(set(levels)) < len(levels):
        raise InputError(f"every level may come once, got {', '.join(f'{level:g}' for level in levels)}")
    _check(settings, convex)
    ready = prepared(network, inputs, steps[0], convex, input_shapes)
    _check_free(ready, settings)
    return _compressed(Run(ready, folder, memory, steps[-1]), steps, progress, engine)


def _compressed(
    run: Run, steps: Sequence[Settings], progress: LevelProgress, engine: Engine | None
) -> Iterator[Compressed]:
    """Each step over the survey of the one before it, gone on with."""
    with given_or_threads(engine) as workers, companion(*KERNELS):
        for step in steps:
            yield run.compressed(step, partial(progress, step.target_sparsity), workers)


@companion(*KERNELS)
def sparsest(
    network: object,
    inputs: Calibration | Checked,
    settings: Settings,
    drop: Callable[[Compressed], float],
    bound: float,
    progress: LevelProgress = lambda _level, _stage, _part: None,
    engine: Engine | None = None,
    convex: Convex | None = None,
    input_shapes: Mapping[str, Shape] | None = None,
    folder: RunFolder | None = None,
    memory: int | None = None,
) -> Found:
    """The sparsest model whose measured drop stays within a bound, to a percent of sparsity.

    Bisection over one survey: the drop is taken to grow with the sparsity. What is found was measured, and
    so was one percent more, unless nothing sparser can be asked of the network.

    Args:
        network, inputs, engine, convex, input_shapes, folder, memory: as for `compress`.
        settings: of every level but for the target sparsity.
        drop: what a model loses, measured by the caller; a smaller one is better.
        bound: the largest drop that will do, not negative.
        progress: as for `sweep`.

    Raises:
        InputError: even one percent costs more than the bound; or as for `sweep`.
        SolverError: as for `sweep`.
        MissingExtraError: as for `sweep`.
    """
    if not bound >= 0:
        raise InputError(f"expected a bound on the drop from 0, got {bound}")
    _check(settings, convex)
    ready = prepared(network, inputs, settings, convex, input_shapes)
    highest = _check_free(ready, settings)
    run = Run(ready, folder, memory, replace(settings, target_sparsity=1 / RESOLUTION))
    with given_or_threads(engine) as workers:
        return _bisected(run, settings, highest, drop, bound, progress, workers)


def _bisected(
    run: Run,
    settings: Settings,
    highest: int,
    drop: Callable[[Compressed], float],
    bound: float,
    progress: LevelProgress,
    engine: Engine,
) -> Found:
    """The search in whole percents up to the highest; arguments and errors as for `sparsest`."""
    low, high = 0, highest + 1
    best, tried = None, list[Tried]()
    while high - low > 1:
        middle = (low + high) // 2
        step = replace(settings, target_sparsity=middle / RESOLUTION)
        told = partial(progress, step.target_sparsity)
        if not tried:
            # All levels go on from the survey of the sparsest one that may be asked for.
            run.surveyed(replace(settings, target_sparsity=highest / RESOLUTION), told, engine)
        compressed = run.compressed(step, told, engine)
        tried.append(Tried(step.target_sparsity, drop(compressed)))
        if tried[-1].within(bound):
            low, best = middle, compressed
        else:
            high = middle
    if best is None:
        least = min(tried, key=lambda t: t.sparsity)
        raise InputError(
            f"no sparsity stays within the bound: a sparsity of {100 * least.sparsity:g} % alone drops "
            f"{100 * least.drop:.3g} points, the bound is {100 * bound:g}: allow more, or give more inputs"
        )
    return Found(best, tuple(tried))


def _check(settings: Settings, convex: Convex | None) -> None:
    method = settings.method(convex is not None)
    if method.several is not None:
        raise InputError(f"{method.several}: compress once, or match nearly")


def _check_free(ready: Prepared, settings: Settings) -> int:
    """The highest sparsity in percent that the blocks without a target of their own can be asked for.

    Raises:
        InputError: there are none such, or their biases alone are more than 99 % of their parameters.
    """
    own = dict(ready.teacher.model.affines())
    free = [p for p in parts(ready.teacher.model, ready.teacher.nodes, settings) if p.pattern == REST]
    if not free:
        raise InputError("every block has a target of its own: leave one to be swept")
    highest = highest_sparsity([own[name] for name in free[0].names], RESOLUTION)
    if highest < 1:
        raise InputError("the biases alone are more than 99 % of the parameters: nothing to take out")
    return highest
