"""One program with its memory: evaluates a batch of one size, one caller at a time."""

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim_compress.model.maps import Array
from sim_compress.runtime.compiled import machine
from sim_compress.runtime.compiled.gate import new_gate
from sim_compress.runtime.compiled.pacing import Pacing
from sim_compress.runtime.compiled.places import Place
from sim_compress.runtime.compiled.steps import Loop, Program, Reference, Step
from sim_compress.runtime.compiled.team import Team
from sim_compress.runtime.fixed_point import Convergence, Tolerance, solve


class Arena:
    """Memory for a program; nothing is allocated when it runs, but for phi by the reference and loops."""

    def __init__(self, program: Program, threads: int) -> None:
        self.program = program
        tables = program.tables
        width = program.lanes.width
        # Whole vectors are read and written aligned.
        raw = np.zeros(program.floats + width, np.float32)
        skipped = -raw.ctypes.data // raw.itemsize % width
        self._floats = raw[skipped : skipped + program.floats]
        self._samples = program.lanes.samples
        self._passed = (tables.ops, tables.integers, tables.floats, tables.masks, self._floats)
        self._gate = new_gate(len(tables.ops), threads)
        self._pacing = Pacing()
        self._stores = {
            name: (place.elements.ravel().astype(np.int32), place.step)
            for name, place in program.outputs.items()
        }

    def evaluate(
        self,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        tolerance: Tolerance,
        team: Team | None,
    ) -> Convergence | None:
        """Fill outputs (samples, features) from float32 inputs (samples, features).

        Args:
            team: threads that may help; whether they do is decided by the time it takes.

        Returns:
            How the loops converged; None without loops.
        """
        if team is None:
            return self._evaluate(inputs, outputs, tolerance, None)
        began = time.perf_counter()
        convergence = self._evaluate(inputs, outputs, tolerance, team if self._pacing.together() else None)
        self._pacing.took(time.perf_counter() - began)
        return convergence

    def _evaluate(
        self,
        inputs: Mapping[str, Array],
        outputs: Mapping[str, Array],
        tolerance: Tolerance,
        team: Team | None,
    ) -> Convergence | None:
        for load in self.program.loads:
            machine.load(self._floats, load.targets, load.sources, load.step, inputs[load.name])
        convergence = None
        for step in self.program.steps:
            if isinstance(step, Loop):
                convergence = self._loop(step, tolerance, team).joined(convergence)
            else:
                self._run(step, team)
        for name, (sources, step) in self._stores.items():
            machine.store(self._floats, sources, step, outputs[name])
        return convergence

    def serve(self, thread: int) -> None:
        """Help the caller of `evaluate` as thread 1, 2, ...; returns when there is nothing to do."""
        machine.run(*self._passed, 0, 0, self._gate, thread)

    def _run(self, step: Step, team: Team | None) -> None:
        if isinstance(step, Reference):
            self._write(step.target, step.phi(self._read(step.source)))
        elif team is None:
            machine.run(*self._passed, step.first, step.last, self._gate, machine.ALONE)
        else:
            team.help(self)
            machine.run(*self._passed, step.first, step.last, self._gate, machine.LEADER)

    def _loop(self, loop: Loop, tolerance: Tolerance, team: Team | None) -> Convergence:
        states, updated = list(loop.states.values()), list(loop.updated.values())
        sizes = [place.elements.size for place in states]

        def write(x: Array) -> None:
            for place, part in zip(states, np.split(x, np.cumsum(sizes)[:-1]), strict=True):
                self._write(place, part.reshape(*place.elements.shape, self._samples))
            for step in loop.refresh:
                self._run(step, team)

        def advance(x: Array) -> Array:
            write(x)
            for step in loop.steps:
                self._run(step, team)
            return np.concatenate([self._read(p).reshape(-1, self._samples) for p in updated])

        found, convergence = solve(advance, sum(sizes), self._samples, tolerance)
        write(found)
        return convergence

    def _indices(self, place: Place) -> NDArray[np.int64]:
        return place.elements[..., None] + place.step * np.arange(self._samples)

    def _read(self, place: Place) -> Array:
        """A value as (*shape, samples)."""
        return self._floats[self._indices(place)]

    def _write(self, place: Place, value: Array) -> None:
        self._floats[self._indices(place)] = value
