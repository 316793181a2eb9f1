"""Attacks within a box around each input: one step (FGSM) or several (PGD) along the sign of a gradient.

Goodfellow et al. 2015 (arXiv 1412.6572), Madry et al. 2018 (arXiv 1706.06083).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.errors import InputError
from sim_compress.model.maps import Array

# Steps of PGD together reach so many times the radius, as is usual.
REACH = 2.5
STEPS = 40

# Inputs, name -> (samples, ...), to the direction in which the loss of each grows, in the same form.
Gradient = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass(frozen=True)
class Domain:
    """What values an input may take, each broadcast to one sample.

    Attributes:
        low, high: least and largest value.
        unit: what an epsilon of 1 is, as 1 / std where pixels / 255 were divided by std.
    """

    low: ArrayLike = -np.inf
    high: ArrayLike = np.inf
    unit: ArrayLike = 1.0

    def __post_init__(self) -> None:
        low, high, unit = (np.asarray(v, float) for v in (self.low, self.high, self.unit))
        if not (low < high).all():
            raise InputError(
                f"a range of inputs from {self.low} to {self.high} is empty: give the lower end first"
            )
        if not ((unit > 0) & np.isfinite(unit)).all():
            raise InputError(f"a unit of epsilon must be above 0, got {self.unit}")

    def box(self, inputs: Array, epsilon: float) -> tuple[Array, Array]:
        """Least and largest values within epsilon of some inputs, in float32."""
        radius = np.float32(epsilon) * np.asarray(self.unit, np.float32)
        low, high = (np.asarray(end, np.float32) for end in (self.low, self.high))
        return np.maximum(inputs - radius, low), np.minimum(inputs + radius, high)


@dataclass(frozen=True)
class Attack:
    """Moves every input within epsilon, in l-infinity, to where the loss is larger.

    Attributes:
        name: as reports call it.
        epsilon: how far an entry may move.
        steps: along the sign of the gradient.
        step: how far an entry moves in one.
        start: whether the first is made from a random place within epsilon.
        pixels: part of the entries, chosen at random for each sample, that move.
        seed: of what is random.

    Raises:
        InputError: a value lies outside its range.
    """

    name: str
    epsilon: float
    steps: int
    step: float
    start: bool = False
    pixels: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.epsilon < np.inf:
            raise InputError(f"epsilon must be a number above 0, got {self.epsilon}")
        if self.steps < 1:
            raise InputError(f"an attack takes one step or more, got {self.steps}")
        if not 0 < self.step < np.inf:
            raise InputError(f"the step of an attack must be a number above 0, got {self.step}")
        if not 0 < self.pixels <= 1:
            raise InputError(f"the part of the entries that move must lie in (0, 1], got {self.pixels}")
        if self.seed < 0:
            raise InputError(f"a seed is a whole number from 0, got {self.seed}")

    def moved(
        self,
        inputs: Mapping[str, Array],
        gradient: Gradient,
        domains: Mapping[str, Domain],
        first: int = 0,
    ) -> dict[str, Array]:
        """The inputs after the attack; those without a domain stay.

        Args:
            inputs: name -> (samples, ...).
            gradient: of the loss.
            domains: of the inputs that move.
            first: number of the first sample: what is random depends on the sample's own number, so that
                batches of any size give the same.
        """
        now = dict(inputs)
        boxes = {n: d.box(now[n], self.epsilon) for n, d in domains.items()}
        drawn = {n: self._drawn(now[n], n, first) for n in domains}
        rooms = {n: room for n, (room, _) in drawn.items()}
        if self.start:
            for name, (low, high) in boxes.items():
                place = low + drawn[name][1] * (high - low)
                now[name] = np.where(rooms[name], place, now[name])
        for _ in range(self.steps):
            found = gradient(now)
            for name, (low, high) in boxes.items():
                step = np.float32(self.step) * np.asarray(domains[name].unit, np.float32)
                there = np.clip(now[name] + step * np.sign(found[name]), low, high)
                now[name] = np.where(rooms[name], there, now[name])
        return now

    def _drawn(self, inputs: Array, name: str, first: int) -> tuple[Array, Array]:
        """Of each sample by a generator of its own: which entries move, and numbers in [0, 1)."""
        shape, size = inputs.shape[1:], inputs[0].size
        count = round(self.pixels * size)
        rooms, numbers = [], []
        for i in range(first, first + len(inputs)):
            rng = np.random.default_rng([self.seed, i, *name.encode()])
            rooms.append(rng.permutation(size).reshape(shape) < count)
            numbers.append(rng.random(shape, np.float32))
        return np.stack(rooms), np.stack(numbers)


def fgsm(epsilon: float, pixels: float = 1.0, seed: int = 0) -> Attack:
    """The fast gradient sign method: one step of epsilon."""
    return Attack("fgsm", epsilon, 1, epsilon, pixels=pixels, seed=seed)


def pgd(
    epsilon: float,
    steps: int = STEPS,
    step: float | None = None,
    start: bool = True,
    pixels: float = 1.0,
    seed: int = 0,
) -> Attack:
    """Projected gradient descent: steps of 2.5 epsilon / steps if not given, from a random start."""
    if step is None:
        step = REACH * epsilon / max(steps, 1)
    return Attack("pgd", epsilon, steps, step, start, pixels, seed)
