"""How far a model's states and outputs are from the teacher's, and the gradient of that.

    E_y + STATES * E_x

E_y and E_x are the squared errors of all outputs and of all states, each relative to its variance and
averaged over outputs and over blocks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim_compress.compilation import prepare
from sim_compress.core.engines import Engine, Shared
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse import tied
from sim_compress.runtime.reverse.lanes import Buffers, Floats
from sim_compress.runtime.reverse.network import Network, Pass
from sim_compress.runtime.reverse.tied_code import LANES

# What the states' error counts against that of the outputs: a few hundred samples would be learned by heart
# from the outputs alone.
STATES = 10.0
# Variance below this part of the second moment is rounding error.
SAME = 1e-9

Numbers = NDArray[np.int64]
Gradients = dict[str, list[Floats]]
Result = TypeVar("Result")
Task = TypeVar("Task")
# Name of a state or output, the model's and the teacher's.
Values = tuple[str, Floats, Floats]
# Samples of one step: fewer where there are few, for steps to be many.
SMALLEST_BATCH, BATCH = 8, 64
STEPS = 16
# First step of a value relative to the mean size of its weight or bias, in the coordinates of the row
# problems, for an error of 1 of the outputs and BATCH samples: the nearer the outputs are, the less is to be
# moved, and few samples know less well where to.
STEP, LARGEST_STEP = 0.3, 0.05


@dataclass(frozen=True)
class Error:
    """E_y and E_x."""

    outputs: float
    states: float

    @property
    def total(self) -> float:
        return self.outputs + STATES * self.states


def samples_of_step(samples: int) -> int:
    """Of so many."""
    return int(np.clip(samples // STEPS, SMALLEST_BATCH, BATCH))


class Matching:
    """How far a model's states and outputs are from the teacher's on some inputs.

    Attributes:
        parameters: name -> those that may change, in place: values of every weight, then the bias where
            there is one.
        samples: how many inputs there are.
        batch: samples of one step.
        before: the error over all of them, with the parameters as they were given.
    """

    def __init__(
        self,
        teacher: ImplicitModel,
        model: ImplicitModel,
        inputs: Mapping[str, Array],
        names: Sequence[str],
        engine: Engine,
    ) -> None:
        prepare(tied.ENTRIES)
        self._engine = engine
        self.pair = Pair(teacher, model, inputs, tuple(names))
        self.shared = engine.share(self.pair)
        self.parameters = self.pair.parameters
        self.samples = len(next(iter(inputs.values())))
        self.batch = samples_of_step(self.samples)
        self._outputs = {o.name for o in model.outputs}
        self._weights: dict[str, float] = {}
        means = self._means()
        varied = {n: second - mean**2 for n, (mean, second, _) in means.items()}
        # Of every state and output that varies.
        self._variances = {n: v for n, v in varied.items() if SAME * means[n][1] < v < np.inf}
        outputs = len(self._outputs & self._variances.keys())
        # What a squared error counts in the total.
        self._weights = {
            n: (1 / outputs if n in self._outputs else STATES / (len(self._variances) - outputs)) / v
            for n, v in self._variances.items()
        }
        self.before = self._mean_error(means)

    @property
    def step(self) -> float:
        """First step of a value, relative to the mean size of its weight or bias in its coordinates."""
        return min(STEP * self.before.outputs, LARGEST_STEP) * self.batch / BATCH

    def error(self) -> Error:
        """Over all inputs, with the parameters as they are now."""
        return self._mean_error(self._means())

    def model(self) -> ImplicitModel:
        """The model with the parameters as they are now."""
        return self.pair.student.model()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Workers share it no longer."""
        self.shared.drop()

    def gradient(self, batch: Numbers) -> Gradients:
        """Of the total error of some inputs, for every parameter by name."""
        found = self._over(batch, _gradient)
        return self.summed(found)

    def summed(self, found: Sequence[Gradients]) -> Gradients:
        """The gradients of all shards."""
        return {
            n: [np.sum(g, axis=0) for g in zip(*(f[n] for f in found), strict=True)] for n in self.parameters
        }

    def _means(self) -> dict[str, NDArray[np.float64]]:
        """Means over all inputs of the teacher's values, of their squares and of the squared error."""
        total: dict[str, NDArray[np.float64]] = {}
        for part in self._over(np.arange(self.samples), _sums):
            total = {n: total.get(n, np.zeros(4)) + own for n, own in part.items()}
        return {n: own[1:] / own[0] for n, own in total.items()}

    def _over(self, numbers: Numbers, function: Callable[["Shard"], Result]) -> list[Result]:
        """What a function gives on every shard of some inputs, with the parameters as they are now."""
        return self.mapped(function, len(numbers), lambda now, own: Shard(self.shared, now, numbers[own]))

    def mapped(
        self, function: Callable[[Task], Result], count: int, task: Callable[[Shared["Now"], slice], Task]
    ) -> list[Result]:
        """What a function gives on tasks of at most LANES of so many samples, in order."""
        now = self._engine.share(Now(self.parameters, self._weights, count))
        tasks = [task(now, slice(first, first + LANES)) for first in range(0, count, LANES)]
        found = list(self._engine.map(function, tasks))
        now.drop()
        return found

    def _mean_error(self, means: Mapping[str, NDArray[np.float64]]) -> Error:
        relative = {n: float(means[n][2] / v) for n, v in self._variances.items()}
        outputs = [e for n, e in relative.items() if n in self._outputs]
        states = [e for n, e in relative.items() if n not in self._outputs]
        return Error(float(np.mean(outputs or [0.0])), float(np.mean(states or [0.0])))


@dataclass(frozen=True, eq=False)
class Now:
    """What changes from step to step.

    Attributes:
        parameters: as they are now.
        weights: what a squared error counts in the total, by name.
        batch: how many inputs the total is over.
    """

    parameters: Mapping[str, list[Floats]]
    weights: Mapping[str, float]
    batch: int


@dataclass(frozen=True, eq=False)
class Work:
    """Memory of one thread."""

    student: Pass
    teacher: Pass
    errors: Buffers


class Pair:
    """The teacher and the model, evaluated side by side on some samples; pickled without its memory."""

    def __init__(
        self,
        teacher: ImplicitModel,
        model: ImplicitModel,
        inputs: Mapping[str, Array],
        names: tuple[str, ...],
    ) -> None:
        self._made_of = teacher, model, inputs, names
        self._inputs = inputs
        self._teacher, self.student = Network(teacher), Network(model)
        self.parameters = {n: self.student.rows[n].parameters for n in names}
        # Entries of every state and output.
        self.sizes = {b.name: prod(b.shape) for b in (*model.blocks, *model.outputs)}
        self._latest: object = self.parameters
        self._free: list[Work] = []

    def __reduce__(self) -> tuple[type["Pair"], tuple[object, ...]]:
        return Pair, self._made_of

    def inputs(self, numbers: Numbers) -> dict[str, Array]:
        """Some samples, input name -> (samples, ...)."""
        return {n: u[numbers] for n, u in self._inputs.items()}

    def take(self, parameters: Mapping[str, list[Floats]]) -> None:
        """Evaluate with these parameters, which may have come from another process."""
        if parameters is not self._latest:
            for name, values in parameters.items():
                for own, value in zip(self.parameters[name], values, strict=True):
                    own[:] = value
            self._latest = parameters

    @contextmanager
    def evaluated(self, batch: Mapping[str, Array]) -> Iterator[tuple["Work", Iterator[Values]]]:
        """Memory that no other thread uses, and in it every state and output of some samples.

        Of each its name, the model's and the teacher's. Values that overflow show in the error.

        Args:
            batch: input name -> (samples, ...), LANES of them at most.
        """
        try:
            work = self._free.pop()
        except IndexError:
            work = Work(Pass(self.student), Pass(self._teacher), Buffers())
        try:
            with np.errstate(all="ignore"):
                work.student.begin(batch)
                work.teacher.begin(batch)
                yield (
                    work,
                    ((n, work.student.evaluate(n), work.teacher.evaluate(n)) for n in self.student.names),
                )
        finally:
            self._free.append(work)


@dataclass(frozen=True, eq=False)
class Shard:
    """Some samples as one task."""

    pair: Shared[Pair]
    now: Shared[Now]
    numbers: Numbers


def _sums(shard: Shard) -> dict[str, NDArray[np.float64]]:
    """Sums over the samples of every state and output."""
    pair, own = shard.pair.value, slice(len(shard.numbers))
    pair.take(shard.now.value.parameters)
    with pair.evaluated(pair.inputs(shard.numbers)) as (_, both):
        return {name: _summed(found[:-1, own], wanted[:-1, own]) for name, found, wanted in both}


def _gradient(shard: Shard) -> Gradients:
    """What some samples add to the gradient."""
    pair, now = shard.pair.value, shard.now.value
    pair.take(now.parameters)
    errors: dict[str, Floats] = {}
    with pair.evaluated(pair.inputs(shard.numbers)) as (work, both):
        for name, found, wanted in both:
            errors[name] = error = work.errors.entries(name, len(found) - 1)
            weight = 2 * now.weights.get(name, 0.0) / ((len(error) - 1) * now.batch)
            tied.weighted_difference(found, wanted, np.float32(weight), error)
            # Lanes that repeat the last sample.
            error[:, len(shard.numbers) :] = 0
        return work.student.backward(errors, list(pair.parameters))


def _summed(found: Floats, wanted: Floats) -> NDArray[np.float64]:
    """Number of entries, sums of what is wanted and of its square, and of the squared error."""
    error = found - wanted
    squares = (float(np.square(a).sum(dtype=np.float64)) for a in (wanted, error))
    return np.array([wanted.size, wanted.sum(dtype=np.float64), *squares])
