"""One program with its memory: evaluates a batch of one size, one caller at a time."""

import time
from collections.abc import Mapping
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.code import machine
from sim_compress.runtime.compiled.layout.places import Outside, Place
from sim_compress.runtime.compiled.program.steps import InPlace, Loop, Program, Reference, Step
from sim_compress.runtime.compiled.threads.gate import ATTENDANCE, new_gate
from sim_compress.runtime.compiled.threads.pacing import Attendance
from sim_compress.runtime.compiled.threads.team import Team
from sim_compress.runtime.fixed_point import Convergence, Tolerance, solve

# Rounds of waiting that are timed, and how often: twenty microseconds each.
ROUNDS, TRIALS = 1000, 3


class Call(NamedTuple):
    """What a caller asks for.

    Attributes:
        inputs, outputs: name -> (samples, features); outputs are float32 and filled.
        team: threads that may help.
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    tolerance: Tolerance
    team: Team | None


class Arena:
    """Memory for a program; nothing is allocated when it runs, but by the reference and by loops."""

    def __init__(self, program: Program, threads: int) -> None:
        self.program = program
        tables = program.tables
        width = program.lanes.width
        # Whole vectors are read and written aligned.
        raw = np.zeros(program.floats + width, np.float32)
        skipped = -raw.ctypes.data // raw.itemsize % width
        self._floats = raw[skipped : skipped + program.floats]
        for fixed in program.fixed:
            self._floats[fixed.targets] = fixed.values[:, None]
        self._samples = program.lanes.samples
        self._passed = (tables.ops, tables.integers, tables.floats, tables.masks, self._floats)
        self._gate = new_gate(tables.ops, threads)
        self._attendance = Attendance()
        self._stores = {
            name: (place.elements.ravel().astype(np.int32), place.step)
            for name, place in program.outputs.items()
        }

    def evaluate(self, call: Call) -> Convergence | None:
        """Fill the outputs from the inputs.

        Returns:
            How the loops converged; None without loops.
        """
        self.load(call)
        convergence = None
        for step in self.program.steps:
            convergence = self.run(step, call, convergence)
        self.store(call)
        return convergence

    def load(self, call: Call) -> None:
        """Copy the inputs to their places."""
        for load in self.program.loads:
            given = call.inputs[load.name]
            # Whole numbers are ids, which float32 holds.
            given = given if given.dtype == np.float32 else given.astype(np.float32)
            machine.load(self._floats, load.targets, load.sources, load.step, given)

    def store(self, call: Call) -> None:
        """Copy the outputs from their places."""
        for name, (sources, step) in self._stores.items():
            machine.store(self._floats, sources, step, call.outputs[name])

    def run(self, step: Step | Loop, call: Call, before: Convergence | None = None) -> Convergence | None:
        """Run one step; how its loop converged is joined with that of those before."""
        if isinstance(step, Loop):
            return self._loop(step, call).joined(before)
        self._run(step, call)
        return before

    @cached_property
    def _seconds_of_a_round(self) -> float:
        """Of waiting at the closed gate: processors pause for different times."""
        self._gate[ATTENDANCE] = ROUNDS
        times = []
        for _ in range(TRIALS):
            began = time.perf_counter()
            self.serve(1)
            times.append(time.perf_counter() - began)
        return min(times) / ROUNDS

    def serve(self, thread: int) -> None:
        """Help the caller of `evaluate` as thread 1, 2, ...; returns when there is nothing to do."""
        machine.run(*self._passed, 0, 0, self._gate, thread)

    def _run(self, step: Step, call: Call) -> None:
        if isinstance(step, Reference):
            self._refer(step, call)
        elif isinstance(step, InPlace):
            x = self._floats[step.first : step.last]
            x[:] = step.phi(x[None])[0]
            self._floats[step.outside] = 0
        elif call.team is None:
            machine.run(*self._passed, step.first, step.last, self._gate, machine.ALONE)
        else:
            self._attendance.began(time.perf_counter())
            self._gate[ATTENDANCE] = round(self._attendance.seconds / self._seconds_of_a_round)
            call.team.help(self)
            machine.run(*self._passed, step.first, step.last, self._gate, machine.LEADER)
            self._attendance.ended(time.perf_counter())

    def _refer(self, step: Reference, call: Call) -> None:
        values = [self._given(s, call) if isinstance(s, Outside) else self._read(s) for s in step.sources]
        places, element = step.target.destinations
        with np.errstate(all="ignore"):
            found = step.function(*values).reshape(-1, self._samples)[element]
        self._floats[places[:, None] + step.target.step * np.arange(self._samples)] = found

    def _given(self, source: Outside, call: Call) -> Array:
        """An input as (*shape, samples), zero where the program has more samples."""
        given = call.inputs[source.name].reshape(-1, *source.form.shape)
        missing = self._samples - len(given)
        if missing:
            given = np.concatenate([given, np.zeros((missing, *given.shape[1:]), given.dtype)])
        return np.moveaxis(given, 0, -1)

    def _loop(self, loop: Loop, call: Call) -> Convergence:
        states, updated = list(loop.states.values()), list(loop.updated.values())
        sizes = [place.elements.size for place in states]

        def write(x: Array) -> None:
            for place, part in zip(states, np.split(x, np.cumsum(sizes)[:-1]), strict=True):
                self._write(place, part.reshape(*place.elements.shape, self._samples))
            for step in loop.refresh:
                self._run(step, call)

        def advance(x: Array) -> Array:
            write(x)
            for step in loop.steps:
                self._run(step, call)
            return np.concatenate([self._read(p).reshape(-1, self._samples) for p in updated])

        found, convergence = solve(advance, sum(sizes), self._samples, call.tolerance)
        write(found)
        return convergence

    def _indices(self, place: Place) -> NDArray[np.int64]:
        return place.elements[..., None] + place.step * np.arange(self._samples)

    def _read(self, place: Place) -> Array:
        """A value as (*shape, samples)."""
        return self._floats[self._indices(place)]

    def _write(self, place: Place, value: Array) -> None:
        self._floats[self._indices(place)] = value
