"""How far a model's states and outputs are from the teacher's, and the gradient of that.

    E_y + STATES * E_x

E_y and E_x are the squared errors of all outputs and of all states, each relative to its variance and
averaged over outputs and over blocks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.compilation import prepare
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse import tied
from sim_compress.runtime.reverse.lanes import Buffers, Floats
from sim_compress.runtime.reverse.network import Network, Pass
from sim_compress.runtime.reverse.tied_code import LANES
from sim_compress.states.batches import in_order

# What the states' error counts against that of the outputs: a few hundred samples would be learned by heart
# from the outputs alone.
STATES = 10.0
# Variance below this part of the second moment is rounding error.
SAME = 1e-9

Numbers = NDArray[np.int64]
Gradients = dict[str, list[Floats]]


@dataclass(frozen=True)
class Error:
    """E_y and E_x."""

    outputs: float
    states: float

    @property
    def total(self) -> float:
        return self.outputs + STATES * self.states


@dataclass(frozen=True, eq=False)
class _Work:
    """Memory of one thread."""

    student: Pass
    teacher: Pass
    errors: Buffers


class Matching:
    """How far a model's states and outputs are from the teacher's on some inputs.

    Attributes:
        parameters: name -> those that may change, in place: values of every weight, then the bias where
            there is one.
        samples: how many inputs there are.
        before: the error over all of them, with the parameters as they were given.
    """

    def __init__(
        self, teacher: ImplicitModel, model: ImplicitModel, inputs: Mapping[str, Array], names: Sequence[str]
    ) -> None:
        prepare(tied.ENTRIES)
        self._teacher, self._student = Network(teacher), Network(model)
        self._names = list(names)
        self.parameters = {n: self._student.rows[n].parameters for n in self._names}
        self._inputs = inputs
        self.samples = len(next(iter(inputs.values())))
        self._outputs = {o.name for o in model.outputs}
        self._free: list[_Work] = []
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

    def error(self) -> Error:
        """Over all inputs, with the parameters as they are now."""
        return self._mean_error(self._means())

    def model(self) -> ImplicitModel:
        """The model with the parameters as they are now."""
        return self._student.model()

    def _means(self) -> dict[str, NDArray[np.float64]]:
        """Means over all inputs of the teacher's values, of their squares and of the squared error."""
        shards = _shards(np.arange(self.samples))

        def sums(number: int) -> dict[str, NDArray[np.float64]]:
            numbers = shards[number]
            own = slice(len(numbers))
            with self._work() as work:
                return {n: _sums(x[:-1, own], wanted[:-1, own]) for n, x, wanted in self._both(work, numbers)}

        total: dict[str, NDArray[np.float64]] = {}
        for part in in_order(sums, len(shards)):
            total = {n: total.get(n, np.zeros(4)) + own for n, own in part.items()}
        return {n: own[1:] / own[0] for n, own in total.items()}

    def _mean_error(self, means: Mapping[str, NDArray[np.float64]]) -> Error:
        relative = {n: float(means[n][2] / v) for n, v in self._variances.items()}
        outputs = [e for n, e in relative.items() if n in self._outputs]
        states = [e for n, e in relative.items() if n not in self._outputs]
        return Error(float(np.mean(outputs or [0.0])), float(np.mean(states or [0.0])))

    def gradient(self, batch: Numbers) -> Gradients:
        """Of the total error of some inputs, for every parameter by name."""
        shards = _shards(batch)

        def gradient(number: int) -> Gradients:
            with self._work() as work:
                return self._shard_gradient(work, shards[number], len(batch))

        found = list(in_order(gradient, len(shards)))
        return {n: [np.sum(g, axis=0) for g in zip(*(f[n] for f in found), strict=True)] for n in self._names}

    def _shard_gradient(self, work: _Work, numbers: Numbers, batch: int) -> Gradients:
        """What some inputs add to the gradient of a batch of so many."""
        errors: dict[str, Floats] = {}
        for name, found, wanted in self._both(work, numbers):
            errors[name] = error = work.errors.entries(name, len(found) - 1)
            weight = 2 * self._weights.get(name, 0.0) / ((len(error) - 1) * batch)
            tied.weighted_difference(found, wanted, np.float32(weight), error)
            # Lanes that repeat the last sample.
            error[:, len(numbers) :] = 0
        return work.student.backward(errors, self._names)

    def _both(self, work: _Work, numbers: Numbers) -> Iterator[tuple[str, Floats, Floats]]:
        """Every state and output of some samples: its name, the model's and the teacher's."""
        batch = {n: u[numbers] for n, u in self._inputs.items()}
        work.student.begin(batch)
        work.teacher.begin(batch)
        for name in self._student.names:
            yield name, work.student.evaluate(name), work.teacher.evaluate(name)

    @contextmanager
    def _work(self) -> Iterator[_Work]:
        """Memory that no other thread uses; values that overflow show in the error."""
        try:
            work = self._free.pop()
        except IndexError:
            work = _Work(Pass(self._student), Pass(self._teacher), Buffers())
        try:
            with np.errstate(all="ignore"):
                yield work
        finally:
            self._free.append(work)


def _shards(numbers: Numbers) -> list[Numbers]:
    """Parts of a batch that threads take."""
    return [numbers[first : first + LANES] for first in range(0, len(numbers), LANES)]


def _sums(found: Floats, wanted: Floats) -> NDArray[np.float64]:
    """Number of entries, sums of what is wanted and of its square, and of the squared error."""
    error = found - wanted
    squares = (float(np.square(a).sum(dtype=np.float64)) for a in (wanted, error))
    return np.array([wanted.size, wanted.sum(dtype=np.float64), *squares])
