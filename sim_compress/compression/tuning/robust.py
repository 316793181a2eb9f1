"""Tuning for robustness: the network's answers are kept on inputs and where they move against the model.

    mean of  L(u) + L(u + r sign dL/du),    L = cross-entropy of the scores + MATCH (E_y + STATES E_x)

u are mixes of two calibration inputs, which are few, and r is epsilon. The inner step is against the model as
it is (Goodfellow et al. 2015). Targets are what the network gives for u, unmoved: probabilities, states and
outputs; no label is used (as in virtual adversarial training, arXiv 1704.03976, and TRADES, 1901.08573).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sim_compress.compression.tuning.matching import (
    Error,
    Gradients,
    Matching,
    Now,
    Numbers,
    Pair,
    Work,
)
from sim_compress.core.engines import Engine, Shared
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel, Shape
from sim_compress.model.maps import Array
from sim_compress.robustness import scored_output
from sim_compress.runtime.reverse import tied
from sim_compress.runtime.reverse.lanes import Floats, batch_of

# Samples of a step.
BATCH = 128
SEED = 0
# What matching states and outputs counts: cross-entropy alone learns a few hundred inputs by heart, and loses
# two points on others (MLP of models/ at 50 %).
MATCH = 0.1
# First step of a value, relative as in `Matching.step`.
STEP = 0.04


@dataclass(frozen=True, eq=False)
class Moves:
    """How inputs may move.

    Attributes:
        output: name of the class scores.
        radius: epsilon of every input that moves, broadcast to a sample.
        ends: least and largest value of these inputs.
        sizes: entries of a sample of each.
    """

    output: str
    radius: Mapping[str, Array]
    ends: Mapping[str, tuple[float, float]]
    sizes: Mapping[str, int]


class RobustMatching(Matching):
    """How well a model keeps the network's classes on inputs and on inputs that are moved.

    Args:
        teacher, model, inputs, names, engine: as `Matching` takes them.
        epsilon: how far inputs move, one number or one for each channel.

    Raises:
        InputError: not one output alone is a vector of class scores, or no input can move.
    """

    def __init__(
        self,
        teacher: ImplicitModel,
        model: ImplicitModel,
        inputs: Mapping[str, Array],
        names: Sequence[str],
        engine: Engine,
        epsilon: float | tuple[float, ...],
    ) -> None:
        moves = _moves(model, inputs, epsilon)
        super().__init__(teacher, model, inputs, names, engine)
        self.batch = min(BATCH, self.samples)
        # Ids have no mixes.
        self._mixes = len(moves.radius) == len(model.inputs)
        self._moves = engine.share(moves)
        self.before = self.error()

    @property
    def step(self) -> float:
        return STEP

    def error(self) -> Error:
        """The mean of both losses over all inputs, as that of the outputs."""
        count = self.samples
        plain = np.arange(count)

        def task(now: Shared[Now], own: slice) -> _Moved:
            return _Moved(self.shared, now, self._moves, plain[own], plain[own], np.ones(len(plain[own])))

        return Error(float(sum(self.mapped(_losses, count, task))) / count, 0.0)

    def gradient(self, batch: Numbers) -> Gradients:
        """Of the mean over some inputs, mixed with others."""
        # What is drawn depends on the numbers of the step alone, so a run that goes on draws the same.
        rng = np.random.default_rng([SEED, *batch.tolist()])
        partners = rng.integers(self.samples, size=len(batch))
        parts = rng.random(len(batch)) if self._mixes else np.ones(len(batch))

        def task(now: Shared[Now], own: slice) -> _Moved:
            return _Moved(self.shared, now, self._moves, batch[own], partners[own], parts[own])

        return self.summed(self.mapped(_gradient, len(batch), task))

    def __exit__(self, *of: object) -> None:
        self._moves.drop()
        super().__exit__(*of)


@dataclass(frozen=True, eq=False)
class _Moved:
    """Some samples as one task: parts of those of `numbers`, the rest of their partners."""

    pair: Shared[Pair]
    now: Shared[Now]
    moves: Shared[Moves]
    numbers: Numbers
    partners: Numbers
    parts: NDArray[np.float64]

    def inputs(self) -> dict[str, Array]:
        one, other = (self.pair.value.inputs(n) for n in (self.numbers, self.partners))
        return {n: _mixed(u, other[n], self.parts) for n, u in one.items()}


def _gradient(task: _Moved) -> Gradients:
    """What some samples add to the gradient: of the inputs, then of the moved ones."""
    pair, moves, inputs, now = task.pair.value, task.moves.value, task.inputs(), task.now.value
    pair.take(now.parameters)
    names, count = list(pair.parameters), len(task.numbers)
    with pair.evaluated(inputs) as (work, both):
        values = {name: (own, theirs) for name, own, theirs in both}
        first, way = _backward(work, pair, moves, values, now, count)
        again = _again(work, pair, _moved(inputs, way, moves))
        values = {name: (again[name], theirs) for name, (_, theirs) in values.items()}
        second, _ = _backward(work, pair, moves, values, now, count)
    return {n: [a + b for a, b in zip(first[n], second[n], strict=True)] for n in names}


def _losses(task: _Moved) -> float:
    """Sum of both losses over the samples."""
    pair, moves, inputs, now = task.pair.value, task.moves.value, task.inputs(), task.now.value
    pair.take(now.parameters)
    count = len(task.numbers)
    with pair.evaluated(inputs) as (work, both):
        values = {name: (own, theirs) for name, own, theirs in both}
        clean = _loss(values, moves.output, now, count)
        _, way = _backward(work, pair, moves, values, now, count)
        again = _again(work, pair, _moved(inputs, way, moves))
        moved = {name: (again[name], theirs) for name, (_, theirs) in values.items()}
        return clean + _loss(moved, moves.output, now, count)


def _again(work: Work, pair: Pair, inputs: Mapping[str, Array]) -> dict[str, Floats]:
    """The model's states and outputs for other inputs."""
    work.student.begin(inputs)
    return {name: work.student.evaluate(name) for name in pair.student.names}


def _slope(scores: Floats, theirs: Floats) -> Array:
    """Gradient of the cross-entropy to the network's probabilities, (classes, LANES)."""
    found, wanted = (special.softmax(s[:-1].astype(np.float64), axis=0) for s in (scores, theirs))
    return found - wanted


def _loss(values: Mapping[str, tuple[Floats, Floats]], output: str, now: Now, count: int) -> float:
    """Sum over the samples."""
    own, theirs = values[output]
    logs = special.log_softmax(own[:-1].astype(np.float64), axis=0)
    total = -float((special.softmax(theirs[:-1].astype(np.float64), axis=0) * logs)[:, :count].sum())
    for name, weight in now.weights.items():
        found, wanted = (v[:-1, :count].astype(np.float64) for v in values[name])
        total += MATCH * weight * float(np.square(found - wanted).mean(axis=0).sum())
    return total


def _backward(
    work: Work,
    pair: Pair,
    moves: Moves,
    values: Mapping[str, tuple[Floats, Floats]],
    now: Now,
    count: int,
) -> tuple[Gradients, dict[str, Floats]]:
    """Gradients of the parameters, and of the inputs that move."""
    gradients = {name: _zeros(work, name, size) for name, size in moves.sizes.items()}
    for name, (own, theirs) in values.items():
        gradients[name] = held = work.errors.entries(name, len(own) - 1)
        weight = 2 * MATCH * now.weights.get(name, 0.0) / ((len(own) - 1) * now.batch)
        tied.weighted_difference(own, theirs, np.float32(weight), held)
        if name == moves.output:
            held[:-1] += _slope(own, theirs) / now.batch
        # Lanes that repeat the last sample.
        held[:, count:] = 0
    found = work.student.backward(gradients, list(pair.parameters))
    return found, {name: gradients[name] for name in moves.sizes}


def _zeros(work: Work, name: str, size: int) -> Floats:
    held = work.errors.entries(name, size)
    held.fill(0)
    return held


def _moved(inputs: Mapping[str, Array], way: Mapping[str, Floats], moves: Moves) -> dict[str, Array]:
    """One step of epsilon, within the ends."""
    moved = dict(inputs)
    for name, gradient in way.items():
        u = inputs[name]
        step = moves.radius[name] * np.sign(batch_of(gradient, u.shape[1:], len(u)))
        moved[name] = np.clip(u + step, *moves.ends[name])
    return moved


def _mixed(one: Array, other: Array, parts: NDArray[np.float64]) -> Array:
    if (parts == 1).all():
        return one
    own = parts.reshape(-1, *(1,) * (one.ndim - 1)).astype(one.dtype)
    return own * one + (1 - own) * other


def _moves(model: ImplicitModel, inputs: Mapping[str, Array], epsilon: float | tuple[float, ...]) -> Moves:
    moving = [i for i in model.inputs if np.dtype(i.dtype).kind == "f"]
    if not moving:
        raise InputError(
            f"robust={epsilon}: no input is of real numbers ({', '.join(i.name for i in model.inputs)}), and "
            "others do not move by an epsilon"
        )
    return Moves(
        scored_output(model),
        {i.name: radius(i.shape, epsilon) for i in moving},
        {i.name: (float(inputs[i.name].min()), float(inputs[i.name].max())) for i in moving},
        {i.name: prod(i.shape) for i in moving},
    )


def radius(shape: Shape, epsilon: float | tuple[float, ...]) -> NDArray[np.float32]:
    """Epsilon as it is added to samples; one for each channel lies along the first axis, else the last."""
    values = np.asarray(epsilon, np.float32)
    if values.ndim and shape[:1] == values.shape:
        return values.reshape(-1, *(1,) * (len(shape) - 1))
    if values.ndim and shape[-1:] != values.shape:
        raise InputError(f"robust={epsilon}: {len(values)} values for an input of shape {shape}: give one")
    return values
