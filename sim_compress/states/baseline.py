"""Grams of every block from the teacher's own states, and means of a model's, in one pass over the inputs."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Generic, TypeVar

import numpy as np

from sim_compress.core import Gram
from sim_compress.core.engines import Engine, Shared
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine, ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import schedule
from sim_compress.states.batches import Values, converted, shared_batches, under_way
from sim_compress.states.designs import empty_grams, feature_means, gram_bytes, moments
from sim_compress.states.implicit_teacher import settle
from sim_compress.states.teachers import Step, Teacher
from sim_compress.storage import IN_MEMORY, Storage

Grams = tuple[Gram, ...]
Work = TypeVar("Work")
Progress = Callable[[float], None]


def baseline_grams(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    engine: Engine,
    progress: Progress,
    summed: Mapping[str, str] = MappingProxyType({}),
    storage: Storage = IN_MEMORY,
    most: int | None = None,
) -> dict[str, Grams]:
    """Grams with designs and targets from the teacher's own states (Algorithm 1 as printed).

    Args:
        teacher: the network.
        affines: block or output name -> the design its rows may use.
        inputs: input name -> (samples, ...).
        engine: computes batches side by side.
        progress: called with the finished part in [0, 1].
        summed: name -> the one whose Grams its own are added to, for uses of the same rows.
        storage: where the Grams lie.
        most: bytes of Grams that one pass over the inputs makes; the largest block alone may have more. All
            in one pass if not given.
    """
    total: dict[str, Grams] = {}
    parts = shared_batches(engine, teacher.model, inputs)
    passes = _passes(affines, summed, most)
    for turn, names in enumerate(passes):
        own = {name: affines[name] for name in names}
        total |= {n: empty_grams(a, storage=storage) for n, a in own.items() if n not in summed}
        work = engine.share(_Baseline(teacher.whole, teacher.model, own))
        found = engine.map(_baseline, [_Task(work, part) for part in parts], under_way(engine))
        for number, grams in enumerate(found):
            for name, fresh in grams.items():
                merge(total[summed.get(name, name)], fresh)
            progress((turn + (number + 1) / len(parts)) / len(passes))
        work.drop()
        storage.release()
    for part in parts:
        part.drop()
    return {name: total[name] for name in affines if name not in summed}


def _passes(
    affines: Mapping[str, Affine], summed: Mapping[str, str], most: int | None
) -> list[tuple[str, ...]]:
    """Names whose Grams are made together, each with those that are added to its own."""
    together: dict[str, list[str]] = {name: [name] for name in affines if name not in summed}
    for name in affines.keys() & summed.keys():
        together[summed[name]].append(name)
    passes, room = list[list[str]](), 0
    for names in together.values():
        size = sum(gram_bytes(affines[name]) for name in names)
        if not passes or (most is not None and size > room):
            passes.append([])
            room = most or 0
        passes[-1] += sorted(names, key=list(affines).index)
        room -= size
    return [tuple(names) for names in passes]


@dataclass(frozen=True)
class _Baseline:
    """Grams of some blocks on the teacher's own states."""

    step: Step
    model: ImplicitModel
    affines: Mapping[str, Affine]


@dataclass(frozen=True)
class _Task(Generic[Work]):
    """Work on one batch of inputs."""

    work: Shared[Work]
    batch: Shared[Values]


def _baseline(task: _Task[_Baseline]) -> dict[str, Grams]:
    work = task.work.value
    values = converted(work.model.inputs, task.batch.value)
    reading = work.step(values)
    return grams_of(work.affines, values | reading.states, reading.preactivations)


def grams_of(
    affines: Mapping[str, Affine], values: Mapping[str, Array], targets: Mapping[str, Array]
) -> dict[str, Grams]:
    """Grams of one batch."""
    return {n: moments(a, values, targets[n]) if a.weighted else () for n, a in affines.items()}


def merge(total: Grams, grams: Grams) -> None:
    """Add other data points to the Grams of some rows."""
    for whole, part in zip(total, grams, strict=True):
        whole.merge(part)


def own_means(
    model: ImplicitModel, inputs: Mapping[str, Array], engine: Engine
) -> dict[str, tuple[Matrix, ...]]:
    """Means of what a model's rows read in its own states.

    Returns:
        Block or output name -> (columns,) for each weighted term, over all uses of its rows.

    Raises:
        ConvergenceError: a sample did not reach its equilibrium.
    """
    samples = len(next(iter(inputs.values())))
    parts = shared_batches(engine, model, inputs)
    work = engine.share(model)
    total: dict[str, tuple[Matrix, ...]] = {}
    for size, found in engine.map(_means, [_Task(work, part) for part in parts], under_way(engine)):
        for name, means in found.items():
            own = tuple(size / samples * m for m in means)
            total[name] = tuple(map(np.add, total[name], own)) if name in total else own
    for shared in (work, *parts):
        shared.drop()
    return total


def _means(task: _Task[ImplicitModel]) -> tuple[int, dict[str, tuple[Matrix, ...]]]:
    """Samples of a batch, and the means of what rows read in it."""
    model = task.work.value
    values = converted(model.inputs, task.batch.value)
    samples = next(iter(values.values())).shape[-1]
    for stage in schedule(model):
        values |= settle(stage, values)
    found = {n: feature_means(a, values) for n, a in model.affines()}
    return samples, {n: tuple(_mean_of_uses(model, n, found)) for n in found if model.owns(n)}


def _mean_of_uses(
    model: ImplicitModel, owner: str, found: Mapping[str, tuple[Matrix, ...]]
) -> Iterator[Matrix]:
    """Means over the positions of all uses of some rows."""
    positions = {name: prod(affine.positions) for name, affine in model.affines()}
    uses = model.uses(owner)
    for own in zip(*(found[n] for n in uses), strict=True):
        yield np.average(own, axis=0, weights=[positions[n] for n in uses])
