"""Gradients of functions of a model's outputs for its inputs, through the fixed points of its loops.

At a fixed point x = f(x, u) the gradient g of its states solves g = h + (df/dx)' g, h being what comes from
later blocks: a contraction where x = f(x, u) is one, iterated as that is (implicit differentiation).
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from sim_compress.compilation import prepare
from sim_compress.model import ImplicitModel, StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime.fixed_point import Tolerance, solve
from sim_compress.runtime.reverse import tied
from sim_compress.runtime.reverse.lanes import Buffers, Floats, batch_of, entries, shaped
from sim_compress.runtime.reverse.network import Network, Pass
from sim_compress.runtime.reverse.tied_code import LANES
from sim_compress.runtime.schedule import Stage, schedule

# Outputs, name -> (samples, ...), to the gradient of a function of them in the same form; outputs that are
# not there have none.
Pull = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class InputGradients:
    """Outputs of at most LANES samples at a time, and gradients for inputs of real numbers.

    Threads may share it: each call works in memory of its own.

    Attributes:
        model: whose outputs they are.
        moved: the inputs of real numbers.
    """

    def __init__(self, model: ImplicitModel, tolerance: Tolerance | None = None) -> None:
        prepare(tied.ENTRIES)
        self.model = model
        self._network = Network(model, loops=True)
        self._stages = schedule(model)
        self._tolerance = tolerance or Tolerance()
        self.moved = tuple(i for i in model.inputs if np.dtype(i.dtype).kind == "f")
        self._free: list[_Pass] = []

    def __call__(self, batch: Mapping[str, Array], pull: Pull) -> dict[str, Array]:
        """Gradient of a function of the outputs for every input of real numbers, name -> (samples, ...).

        Args:
            batch: input name -> (samples, ...).
            pull: gives the gradient for the outputs from the outputs.

        Raises:
            ConvergenceError: a sample does not reach its equilibrium, or its gradient not its own.
        """
        samples = len(next(iter(batch.values())))
        try:
            work = self._free.pop()
        except IndexError:
            work = _Pass(self._network, self._stages, self._tolerance)
        try:
            with np.errstate(all="ignore"):
                values = work.forward(batch)
                outputs = {o.name: batch_of(values[o.name], o.shape, samples) for o in self.model.outputs}
                seeds = {name: _lanes(seed) for name, seed in pull(outputs).items()}
                found = work.backward_to_inputs(seeds, [i.name for i in self.moved])
                return {i.name: batch_of(found[i.name], i.shape, samples) for i in self.moved}
        finally:
            self._free.append(work)


class _Pass(Pass):
    """Forward and backward over all stages of a network, one call after the other in the same memory."""

    def __init__(self, network: Network, stages: Sequence[Stage], tolerance: Tolerance) -> None:
        super().__init__(network)
        self._stages, self._tolerance = stages, tolerance
        self._outputs = [n for n in network.names if n not in network.blocks]
        self._gradients = Buffers()

    def forward(self, batch: Mapping[str, Array]) -> dict[str, Floats]:
        """Evaluate every block and output; the outputs by name."""
        self.begin(batch)
        for stage in self._stages:
            if stage.cyclic:
                self._equilibrium(stage.blocks)
            else:
                self.evaluate(stage.blocks[0].name)
        return {name: self.evaluate(name) for name in self._outputs}

    def backward_to_inputs(self, seeds: Mapping[str, Floats], moved: Sequence[str]) -> dict[str, Floats]:
        """Gradients of some inputs from those of outputs, after `forward`."""
        found = {n: self._zeros(n) for n in (*self._network.blocks, *moved)}
        for name, seed in seeds.items():
            self._to_sources(name, seed, found)
        for stage in reversed(self._stages):
            if stage.cyclic:
                self._settle(stage.blocks, found)
            outside = {n: g for n, g in found.items() if n not in {b.name for b in stage.blocks}}
            for block in stage.blocks:
                self._to_sources(block.name, self._pulled_back(block.name, found[block.name]), outside)
        return {n: found[n] for n in moved}

    def _zeros(self, name: str) -> Floats:
        held = self._gradients.entries(name, len(self._values.entries[name]) - 1)
        held.fill(0)
        return held

    def _to_sources(self, name: str, dz: Floats, gradients: Mapping[str, Floats]) -> None:
        """Add to the gradients of sources what a pre-activation's brings."""
        self._network.rows[name].backward(self._values, dz, gradients, {})

    def _equilibrium(self, blocks: Sequence[StateBlock]) -> None:
        """Leave the states of a loop and their pre-activations."""

        def step(x: Array) -> Array:
            for block, own in zip(blocks, _cut(blocks, x), strict=True):
                held = self._values.buffers.entries((block.name, "loop"), len(own))
                held[:-1] = own
                self._values.entries[block.name] = held
            return np.concatenate([self._next(b) for b in blocks])

        states, convergence = solve(step, _size(blocks), LANES, self._tolerance)
        convergence.check(self._tolerance)
        step(states)

    def _next(self, block: StateBlock) -> Array:
        """phi(z) from the states as they are, (entries, LANES)."""
        self._z[block.name] = z = self._network.rows[block.name].forward(self._values, rectified=False)
        return block.phi(shaped(z, block.affine.shape)).reshape(-1, LANES)

    def _settle(self, blocks: Sequence[StateBlock], found: Mapping[str, Floats]) -> None:
        """Make of what later blocks bring to the states of a loop their whole gradients."""
        brought = np.concatenate([found[b.name][:-1] for b in blocks])
        # The tolerance is relative to 1, and gradients have any size.
        size = np.abs(brought).max(axis=0, initial=0)
        size[size == 0] = 1
        own = {b.name: found[b.name] for b in blocks}

        def lay_down(g: Array) -> None:
            for block, part in zip(blocks, _cut(blocks, g), strict=True):
                own[block.name][:-1] = part

        def step(g: Array) -> Array:
            lay_down(g)
            # A pull through phi may take the place of what it is given.
            given = {n: self._copy(n, x) for n, x in own.items()}
            lay_down(brought / size)
            for name, x in given.items():
                self._to_sources(name, self._pulled_back(name, x), own)
            return np.concatenate([own[b.name][:-1] for b in blocks])

        whole, convergence = solve(step, len(brought), LANES, self._tolerance)
        convergence.check(self._tolerance)
        lay_down(whole * size)

    def _copy(self, name: str, x: Floats) -> Floats:
        held = self._gradients.entries((name, "copy"), len(x) - 1)
        held[:-1] = x[:-1]
        return held


def _size(blocks: Sequence[StateBlock]) -> int:
    return sum(prod(b.shape) for b in blocks)


def _cut(blocks: Sequence[StateBlock], x: Array) -> list[Array]:
    """The states of a loop, one after the other, by block."""
    return np.split(x, np.cumsum([prod(b.shape) for b in blocks])[:-1])


def _lanes(batch: Array) -> Floats:
    """(samples, ...) as entries in lanes; lanes left over are zero."""
    flat = batch.reshape(len(batch), -1).T
    made = entries(len(flat))
    made[:-1, : len(batch)] = flat
    made[:-1, len(batch) :] = 0
    return made
