"""All values together, by gradient descent, until states and outputs are those of the teacher: needs torch.

    minimise over the nonzeros of M:  E_y + STATES * E_x

E_y and E_x are the squared errors of all outputs and of all states, each relative to its variance and
averaged over outputs and over blocks. Rows that were solved one block after the other repair what came before
them; here they also prepare what comes after. Supports stay, and no label is used.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import Tolerance
from sim_compress.runtime.autograd.module import ImplicitModule
from sim_compress.states.batches import batch_size, in_order

# What the states' error counts against that of the outputs: a few hundred samples would be learned by heart
# from the outputs alone.
STATES = 10.0
# Samples of one step: fewer where there are few, for steps to be many.
SMALLEST_BATCH, BATCH = 8, 64
STEPS = 16
# Parts of a step that threads take, more where their states would not fit: no result depends on the number of
# threads.
SHARDS = 4
# First step of a value relative to the mean size of its weight or bias, for an error of 1 of the outputs: the
# nearer the outputs are, the less is to be moved.
STEP, LARGEST_STEP = 0.3, 0.05
# Steps over which the step grows; then it falls along a cosine.
WARM_UP = 10
# Parts of that step that are tried in turn until the values match better.
TRIES = (1.0, 0.2, 0.04)
BETAS = (0.9, 0.99)
SEED = 0
# Variance below this part of the second moment is rounding error.
SAME = 1e-9

Values = dict[str, Tensor]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Tuned:
    """A model after the descent.

    Attributes:
        model: with the values that match better.
        before, after: E_y + STATES * E_x on the calibration inputs.
    """

    model: ImplicitModel
    before: float
    after: float


def tuned(
    teacher: ImplicitModel,
    model: ImplicitModel,
    inputs: Mapping[str, Array],
    names: Collection[str],
    epochs: int,
    progress: Callable[[float], None],
) -> Tuned:
    """The model with other values on the same supports; as it was where they match no better.

    Args:
        teacher: the network.
        model: blocks and outputs of the same names and shapes.
        inputs: input name -> (samples, ...).
        names: blocks and outputs whose values may change.
        epochs: passes over the inputs.
        progress: called with the finished part in [0, 1].

    Raises:
        UnsupportedError: a phi or map has no torch function.
    """
    with _one_thread():
        matching = _Matching(teacher, model, inputs, names)
        before = matching.before
        start = [p.detach().clone() for p in matching.parameters]
        step = min(STEP * before.outputs, LARGEST_STEP)
        for number, part in enumerate(TRIES if step > 0 else ()):
            _descend(matching, epochs, part * step, lambda done, n=number: progress((n + done) / len(TRIES)))
            after = matching.error()
            # A NaN is no better.
            if after.total < before.total:
                progress(1.0)
                return Tuned(matching.module.to_model(), before.total, after.total)
            matching.set(start)
    progress(1.0)
    return Tuned(model, before.total, before.total)


def _descend(matching: "_Matching", epochs: int, step: float, progress: Callable[[float], None]) -> None:
    """Adam over batches in random order, each weight and bias with a step of its own size."""
    sizes = [step * float(p.detach().abs().mean()) for p in matching.parameters]
    groups = [{"params": [p], "lr": lr} for p, lr in zip(matching.parameters, sizes, strict=True)]
    adam = torch.optim.Adam(groups, betas=BETAS)
    batches = _batches(matching.samples, epochs)
    warm_up = min(WARM_UP, len(batches) // 4 + 1)
    for number, batch in enumerate(batches):
        growth = min((number + 1) / warm_up, 1.0) * (1 + np.cos(np.pi * number / len(batches))) / 2
        for group, size in zip(adam.param_groups, sizes, strict=True):
            group["lr"] = growth * size
        for parameter, gradient in zip(matching.parameters, matching.gradient(batch), strict=True):
            parameter.grad = gradient
        adam.step()
        progress((number + 1) / len(batches))


def _batches(samples: int, epochs: int) -> list[Numbers]:
    """Numbers of the samples of every step."""
    rng = np.random.default_rng(SEED)
    orders = [rng.permutation(samples) for _ in range(epochs)]
    size = int(np.clip(samples // STEPS, SMALLEST_BATCH, BATCH))
    return [order[first : first + size] for order in orders for first in range(0, samples, size)]


@contextmanager
def _one_thread() -> Iterator[None]:
    """torch on one thread: shards have threads of their own."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclass(frozen=True)
class _Error:
    """E_y and E_x: numbers, or tensors that have gradients."""

    outputs: Any
    states: Any

    @property
    def total(self) -> Any:
        return self.outputs + STATES * self.states


class _Matching:
    """How far a model's states and outputs are from the teacher's on some inputs.

    Attributes:
        module: the model.
        parameters: those that may change.
        samples: how many inputs there are.
        before: the error over all of them, with the parameters as they were given.
    """

    def __init__(
        self,
        teacher: ImplicitModel,
        model: ImplicitModel,
        inputs: Mapping[str, Array],
        names: Collection[str],
    ) -> None:
        self._teacher = ImplicitModule(teacher, Tolerance()).requires_grad_(False)
        self.module = ImplicitModule(model, Tolerance())
        self.parameters = [p for n in names for p in self.module.rows_of(n).parameters() if p.numel()]
        self._inputs = inputs
        self.samples = len(next(iter(inputs.values())))
        self._outputs = {o.name for o in model.outputs}
        self._held = batch_size(teacher)
        means = self._means()
        varied = {n: second - mean**2 for n, (mean, second, _) in means.items()}
        # Of every state and output that varies.
        self._variances = {n: v for n, v in varied.items() if SAME * means[n][1] < v < np.inf}
        self.before = self._mean_error(means)

    def error(self) -> _Error:
        """Over all inputs, with the parameters as they are now."""
        return self._mean_error(self._means())

    def _means(self) -> dict[str, NDArray[np.float64]]:
        """Means over all inputs of the teacher's values, of their squares and of the squared error."""
        every = np.arange(self.samples)
        shards = [every[first : first + self._held] for first in range(0, self.samples, self._held)]

        def sums(number: int) -> dict[str, NDArray[np.float64]]:
            with torch.no_grad():
                found, wanted = self._values(shards[number])
                return {n: _sums(found[n].double(), w.double()) for n, w in wanted.items()}

        total: dict[str, NDArray[np.float64]] = {}
        for part in in_order(sums, len(shards)):
            total = {n: total.get(n, np.zeros(4)) + own for n, own in part.items()}
        return {n: own[1:] / own[0] for n, own in total.items()}

    def _mean_error(self, means: Mapping[str, NDArray[np.float64]]) -> _Error:
        errors = {n: float(error) for n, (_, _, error) in means.items()}
        return self._relative(errors, lambda parts: float(np.mean(parts)))

    def set(self, values: Sequence[Tensor]) -> None:
        """Give every parameter a value."""
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def gradient(self, batch: Numbers) -> list[Tensor]:
        """Of the total error of some inputs, for every parameter."""
        # States are held twice: the model's and the teacher's.
        count = max(SHARDS, -(-2 * len(batch) // self._held))
        shards = np.array_split(batch, min(count, len(batch)))

        def gradient(number: int) -> list[Tensor]:
            found, wanted = self._values(shards[number])
            errors = {n: functional.mse_loss(found[n], wanted[n]) for n in self._variances}
            total = self._relative(errors, lambda parts: torch.stack(parts).mean()).total
            part = len(shards[number]) / len(batch)
            return list(torch.autograd.grad(part * total, self.parameters, materialize_grads=True))

        return [torch.stack(own).sum(0) for own in zip(*in_order(gradient, len(shards)), strict=True)]

    def _values(self, numbers: Numbers) -> tuple[Values, Values]:
        """Every state and output of some samples: the model's and the teacher's."""
        batch = {n: torch.from_numpy(np.ascontiguousarray(u[numbers])) for n, u in self._inputs.items()}
        with torch.no_grad():
            wanted = self._teacher.everything(batch)
        return self.module.everything(batch), wanted

    def _relative(self, errors: Mapping[str, Any], mean: Callable[[list[Any]], Any]) -> _Error:
        relative = {n: errors[n] / variance for n, variance in self._variances.items()}
        outputs = [e for n, e in relative.items() if n in self._outputs]
        states = [e for n, e in relative.items() if n not in self._outputs]
        return _Error(mean(outputs) if outputs else 0.0, mean(states) if states else 0.0)


def _sums(found: Tensor, wanted: Tensor) -> NDArray[np.float64]:
    """Number of entries, sums of what is wanted and of its square, and of the squared error."""
    error = (found - wanted).square().sum()
    return np.array([wanted.numel(), wanted.sum(), wanted.square().sum(), error])
