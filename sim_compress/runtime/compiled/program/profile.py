"""Which block takes how long: a program is run block by block."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import prod

import numpy as np

from sim_compress.model import Affine, ImplicitModel
from sim_compress.runtime.compiled.code import operations
from sim_compress.runtime.compiled.program.arena import Arena, Call
from sim_compress.runtime.compiled.program.steps import Loop, Operations, Program, Step
from sim_compress.runtime.step_time import StepTime

NAMES = {c.CODE: c.__name__ for c in vars(operations).values() if isinstance(c, type) and hasattr(c, "CODE")}
# Bytes of a nonzero with its offset, and of an entry of a value.
NONZERO, ENTRY = 8, 4


def step_times(
    model: ImplicitModel, arena: Arena, call: Call, samples: int, rounds: int
) -> tuple[StepTime, ...]:
    """The best time of every block in so many rounds, in the order in which they run."""
    parts = list(_parts(arena.program))
    best = np.full((len(parts) + 2), np.inf)
    for _ in range(rounds):
        marks = [time.perf_counter()]
        arena.load(call)
        marks.append(time.perf_counter())
        for _, _, step in parts:
            arena.run(step, call)
            marks.append(time.perf_counter())
        arena.store(call)
        marks.append(time.perf_counter())
        best = np.minimum(best, np.diff(marks))
    affines = dict(model.affines())
    moved = [sum(prod(v.shape) for v in values) for values in (model.inputs, model.outputs)]
    times = [StepTime("inputs", "copies", float(best[0]), 0, 2 * ENTRY * samples * moved[0])]
    for (name, how, _), seconds in zip(parts, best[1:-1], strict=True):
        products, size = _work(model, affines.get(name), samples)
        times.append(StepTime(name, how, float(seconds), products, size))
    times.append(StepTime("outputs", "copies", float(best[-1]), 0, 2 * ENTRY * samples * moved[1]))
    return tuple(times)


def numpy_blocks(program: Program) -> tuple[str, ...]:
    """Names of the blocks and outputs of a program that are not compiled, in order."""
    found = [name for name, how, _ in _parts(program) if "numpy" in how]
    return tuple(dict.fromkeys(found))


def _parts(program: Program) -> Iterator[tuple[str, str, Step | Loop]]:
    """Block, what runs it, and the step: operations are cut where a block begins."""
    begins = list(program.begins)
    for step in program.steps:
        if isinstance(step, Operations):
            yield from _of_blocks(step, begins, program)
        elif isinstance(step, Loop):
            inner = [s for s in (*step.refresh, *step.steps) if not isinstance(s, Operations)]
            yield ", ".join(step.states), "loop, numpy" if inner else "loop", step
        else:
            yield step.block, "numpy", step


def _of_blocks(
    step: Operations, begins: Sequence[tuple[int, str]], program: Program
) -> Iterator[tuple[str, str, Operations]]:
    codes = program.tables.ops[:, 0]
    cuts = sorted({step.first, step.last, *(b for b, _ in begins if step.first < b < step.last)})
    for first, last in pairwise(cuts):
        name = [block for begin, block in begins if begin <= first][-1]
        kinds = dict.fromkeys(NAMES[code] for code in codes[first:last].tolist())
        yield name, ", ".join(kinds), Operations(first, last)


def _work(model: ImplicitModel, affine: Affine | None, samples: int) -> tuple[int, int]:
    """Products and bytes of a block's sums."""
    if affine is None:
        return 0, 0
    nonzeros = sum(int(w.nnz) for w in affine.weights)
    values = prod(affine.shape) + sum(prod(model.shapes[t.source]) for t in affine.terms)
    return nonzeros * prod(affine.positions) * samples, NONZERO * nonzeros + ENTRY * values * samples
