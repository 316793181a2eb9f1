"""The compiled evaluator: cuts batches into chunks and gives each an arena."""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sim_compress.compilation import prepare
from sim_compress.forks import held, renewed
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime.compiled.code import machine
from sim_compress.runtime.compiled.code.apart import make_callable
from sim_compress.runtime.compiled.code.phased_code import TILE as LARGEST_TILE
from sim_compress.runtime.compiled.code.vectors import TILE, WIDTH
from sim_compress.runtime.compiled.program.arena import Arena, Call
from sim_compress.runtime.compiled.program.lowering import Lowering
from sim_compress.runtime.compiled.program.profile import numpy_blocks, step_times
from sim_compress.runtime.compiled.program.steps import Program
from sim_compress.runtime.compiled.threads.pacing import Pacing
from sim_compress.runtime.compiled.threads.team import Team, keep_to, other_processors
from sim_compress.runtime.fixed_point import Convergence, Tolerance
from sim_compress.runtime.memory import check_memory, working_set
from sim_compress.runtime.step_time import StepTime

# Programs kept for different batch sizes, alone and together, the last ones used.
PROGRAMS = 16
# Batch sizes of which it is remembered that there is memory for them.
SIZES = 64
# Threads that share one chunk: a block has too few rows and tiles for more.
TEAM = 8


# One program is made at a time, and none while the process forks: a child gets whole tables.
_MAKING = threading.RLock()
held(_MAKING)


class CompiledEvaluator:
    """Evaluates a model with compiled programs, one for every batch size up to a chunk."""

    def __init__(self, model: ImplicitModel, tolerance: Tolerance, threads: int) -> None:
        prepare(machine.ENTRIES)
        self._model, self._tolerance = model, tolerance
        self._shapes = {o.name: o.shape for o in model.outputs}
        self._widths = {o.name: math.prod(o.shape) for o in model.outputs}
        self._needed, self._fitting = working_set(model), set[int]()
        with _MAKING:
            lowering = Lowering(model, WIDTH, TILE)
            self._programs = _kept_programs(lowering)
        self._sizes = Sizes.of(lowering)
        self._chunk = self._sizes.chunk
        self._paces: defaultdict[int, Pacing] = defaultdict(Pacing)
        self._threads = threads
        self._sharing = min(threads, TEAM)
        self._crew: _Crew | None = None
        self.after_fork()
        renewed(self)

    def after_fork(self) -> None:
        """Leave the threads, which a child does not have; the next call starts others."""
        if self._crew is not None:
            self._crew.team.leave()
        self._crew, self._hiring = None, threading.Lock()

    def evaluate(self, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], Convergence | None]:
        """Outputs (samples, ...) of checked inputs (samples, ...), and how the loops converged, if any."""
        samples = len(next(iter(inputs.values())))
        if samples not in self._fitting:
            check_memory(self._needed, "numba", min(samples, self._chunk))
            # Once it has run a size has its memory.
            self._fitting = {*self._fitting, samples} if len(self._fitting) < SIZES else {samples}
        flat = {name: np.empty((samples, size), np.float32) for name, size in self._widths.items()}
        outputs = {
            name: y if len(self._shapes[name]) == 1 else y.reshape(samples, *self._shapes[name])
            for name, y in flat.items()
        }
        if not samples:
            return outputs, None
        rows = {name: _as_rows(u if u.flags.c_contiguous else u.copy()) for name, u in inputs.items()}
        alone = self._sizes.alone(samples)
        return outputs, (self._chunk_alone if alone else self._chunks)(rows, flat, samples)

    def profile(self, inputs: Mapping[str, Array], rounds: int) -> tuple[StepTime, ...]:
        """Time of every block on one chunk of checked inputs, on this thread."""
        begin, end = self._sizes.spans(len(next(iter(inputs.values()))))[0]
        program, _ = self._programs(self._sizes.program(end - begin), 1)
        own = {name: _as_rows(np.ascontiguousarray(u[begin:end])) for name, u in inputs.items()}
        outputs = {name: np.empty((end - begin, size), np.float32) for name, size in self._widths.items()}
        arena = Arena(program, 1)
        return step_times(self._model, arena, Call(own, outputs, self._tolerance, None), end - begin, rounds)

    @property
    def _helpers(self) -> "_Crew":
        """The other threads, started when they are first wanted."""
        with self._hiring:
            if self._crew is None:
                pool = ThreadPoolExecutor(self._threads - 1, "sim-compress")
                self._crew = _Crew(Team(self._sharing - 1), pool)
            return self._crew

    def _chunk_alone(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], samples: int
    ) -> Convergence | None:
        """One chunk, with the team where nobody else has it."""
        team = self._helpers.team if self._threads > 1 else None
        if team is None or not team.lock.acquire(blocking=False):
            return self._evaluate(inputs, outputs, samples, None)
        try:
            pace, began = self._paces[samples], time.perf_counter()
            convergence = self._evaluate(inputs, outputs, samples, team if pace.together() else None)
            pace.took(time.perf_counter() - began)
            return convergence
        finally:
            team.lock.release()

    def _chunks(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], samples: int
    ) -> Convergence | None:
        """Chunk after chunk, each on one thread; whoever is done with one takes the next."""
        spans = self._sizes.spans(samples)
        waiting = iter(enumerate(spans))
        parts: list[Convergence | None] = [None] * len(spans)

        def work() -> None:
            # The next of an iterator is taken under the interpreter lock: nobody gets it twice.
            for place, (begin, end) in waiting:
                own = [{name: a[begin:end] for name, a in arrays.items()} for arrays in (inputs, outputs)]
                parts[place] = self._evaluate(own[0], own[1], end - begin, None)

        elsewhere = other_processors()

        def help_out() -> None:
            keep_to(elsewhere)
            work()

        others = min(self._threads, len(spans)) - 1
        helpers = [self._helpers.pool.submit(help_out) for _ in range(others)]
        # The caller does not sleep while the others wake up.
        work()
        for helper in helpers:
            # One that other callers have kept from beginning has nothing left to do.
            if not helper.cancel():
                helper.result()
        loops = [p for p in parts if p is not None]
        return Convergence.concatenated(loops) if loops else None

    def _evaluate(
        self, inputs: Mapping[str, Array], outputs: Mapping[str, Array], samples: int, team: Team | None
    ) -> Convergence | None:
        program, free = self._programs(self._sizes.program(samples), 1 if team is None else self._sharing)
        # Lists are changed under the interpreter lock: nobody else gets the same.
        try:
            arena = free.pop()
        except IndexError:
            arena = Arena(program, self._sharing)
        try:
            return arena.evaluate(Call(inputs, outputs, self._tolerance, team))
        finally:
            free.append(arena)


def blocks_left_to_numpy(model: ImplicitModel) -> tuple[str, ...]:
    """Blocks and outputs without compiled code, for one sample; nothing is compiled for that."""
    return numpy_blocks(Lowering(model, WIDTH, TILE).program(1))


@dataclass(frozen=True)
class Sizes:
    """How batches are cut into chunks, and how many samples the program of a chunk is made for.

    A batch size that has not come yet needs no program of its own: lanes without a sample stay empty.

    Attributes:
        chunk: samples of a chunk.
        tokens: whether a sample fills vectors with its tokens, so that it has a program of its own.
        exact: whether every sample of a program must be there, as in a loop that runs until all converge.
    """

    chunk: int
    tokens: bool
    exact: bool

    @classmethod
    def of(cls, lowering: Lowering) -> "Sizes":
        """Those of a model."""
        if lowering.tokens > 1 and not lowering.cyclic:
            # A few tokens leave lanes empty: then lanes are samples.
            return cls(WIDTH if 2 * lowering.tokens <= 3 * WIDTH else 1, True, False)
        # Images: the states of a chunk stay in cache. Rows alone: a whole tile of samples.
        return cls(WIDTH * LARGEST_TILE if lowering.tokens == 1 else WIDTH // 2, False, lowering.cyclic)

    def alone(self, samples: int) -> bool:
        """Whether a batch is one chunk."""
        few = self.tokens and 1 < samples < self.chunk // 2
        return samples == 1 or (samples <= self.chunk and not few)

    def spans(self, samples: int) -> list[tuple[int, int]]:
        """Begin and end of every chunk."""
        whole = samples
        if self.tokens and samples % self.chunk < self.chunk // 2:
            whole = samples - samples % self.chunk
        cut = [(begin, min(begin + self.chunk, samples)) for begin in range(0, whole, self.chunk)]
        return cut + [(begin, begin + 1) for begin in range(whole, samples)]

    def program(self, samples: int) -> int:
        """Samples of the program for a chunk."""
        if self.tokens:
            return samples if samples == 1 else self.chunk
        if self.exact or 2 * samples < WIDTH:
            return samples
        return min(1 << (samples - 1).bit_length(), -(-samples // WIDTH) * WIDTH)


class _Crew(NamedTuple):
    """The other threads: those that share a chunk, and those that take chunks of their own."""

    team: Team
    pool: ThreadPoolExecutor


def _as_rows(array: Array) -> Array:
    """(samples, features)."""
    return array if array.ndim == 2 else array.reshape(len(array), -1)


def _kept_programs(lowering: Lowering) -> Callable[[int, int], tuple[Program, list[Arena]]]:
    """For samples and threads together: a program, and its arenas that no thread uses."""

    @lru_cache(PROGRAMS)
    def program(samples: int, threads: int) -> tuple[Program, list[Arena]]:
        with _MAKING:
            made = lowering.program(samples, threads)
            # Under the same lock: a fork elsewhere must not find the compiler at work.
            make_callable(made.tables.ops)
            return made, []

    return program
