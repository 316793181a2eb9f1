"""The reference evaluator: every stage by the scipy kernel."""

import time
from collections.abc import Mapping

import numpy as np

from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.fixed_point import Convergence, Tolerance, solve
from sim_compress.runtime.kernels import preactivation
from sim_compress.runtime.memory import check_memory, working_set
from sim_compress.runtime.schedule import Stage, schedule
from sim_compress.runtime.step_time import StepTime

# Patches of a convolution are kernel-size times larger than its input: a chunk keeps them in cache reach.
CHUNK = 64
# Numbers of a chunk at a time: samples of many states come in smaller chunks.
LARGEST = 2**26


class ReferenceEvaluator:
    """Evaluates a model with numpy and scipy."""

    def __init__(self, model: ImplicitModel, tolerance: Tolerance) -> None:
        self._model, self._tolerance = model, tolerance
        self._needed = working_set(model)
        self._size = max(1, min(CHUNK, LARGEST // self._needed.elements))
        self._stages = schedule(model)

    def evaluate(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], Convergence | None]:
        """Outputs (samples, ...) of checked inputs (samples, ...), and how the loops converged, if any."""
        samples = len(next(iter(inputs.values())))
        check_memory(self._needed, "scipy", min(samples, self._size))
        # Infinities and NaN come out as IEEE says, without a word of numpy.
        with np.errstate(all="ignore"):
            parts = [
                self._chunk({name: np.moveaxis(u[i : i + self._size], 0, -1) for name, u in inputs.items()})
                for i in range(0, max(samples, 1), self._size)
            ]
        outputs = {
            name: np.ascontiguousarray(np.concatenate([np.moveaxis(p[name], -1, 0) for p, _ in parts]))
            for name in parts[0][0]
        }
        loops = [c for _, c in parts if c is not None]
        return outputs, Convergence.concatenated(loops) if loops else None

    def profile(self, inputs: Mapping[str, Array], rounds: int) -> tuple[StepTime, ...]:
        """The time of everything together: all of it is numpy and scipy."""
        times = []
        for _ in range(rounds):
            began = time.perf_counter()
            self.evaluate(inputs)
            times.append(time.perf_counter() - began)
        return (StepTime("all blocks", "numpy", min(times), 0, 0),)

    def _chunk(self, values: dict[str, Array]) -> tuple[dict[str, Array], Convergence | None]:
        """Outputs of one chunk, samples on the last axis; states leave when nothing reads them any more."""
        convergence = None
        for stage in self._stages:
            if stage.cyclic:
                states, own = equilibrium(stage, values, self._tolerance)
                values |= states
                convergence = own.joined(convergence)
            else:
                values |= {b.name: b.phi(preactivation(b.affine, values)) for b in stage.blocks}
            for name in stage.dead:
                del values[name]
        return {o.name: preactivation(o.affine, values) for o in self._model.outputs}, convergence


def equilibrium(
    stage: Stage, values: Mapping[str, Array], tolerance: Tolerance
) -> tuple[dict[str, Array], Convergence]:
    """States of a loop, block name -> (*shape, samples), from the values of its sources."""
    samples = next(iter(values.values())).shape[-1]
    sizes = [int(np.prod(b.shape)) for b in stage.blocks]

    def split(x: Array) -> dict[str, Array]:
        parts = np.split(x, np.cumsum(sizes)[:-1])
        return {b.name: p.reshape(*b.shape, samples) for b, p in zip(stage.blocks, parts, strict=True)}

    def step(x: Array) -> Array:
        known = {**values, **split(x)}
        updated = [b.phi(preactivation(b.affine, known)) for b in stage.blocks]
        return np.concatenate([u.reshape(size, samples) for u, size in zip(updated, sizes, strict=True)])

    states, convergence = solve(step, sum(sizes), samples, tolerance)
    return split(states), convergence
