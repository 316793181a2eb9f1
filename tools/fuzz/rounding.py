"""How far outputs may move by rounding alone: Monte Carlo arithmetic.

Every sum, product and phi of the model is evaluated in float32 with random errors of a few units in the last
place, several times; what the outputs then spread by, another order of the same sums may also make of them.
Where an intermediate sum may overflow in one order and not in another, nothing is known of what follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.model import (
    Affine,
    AlongAxis,
    ImplicitModel,
    LinearMap,
    Lookup,
    Offset,
    Scale,
    StateBlock,
    Sum,
    Term,
)
from sim_compress.model.maps import Array
from sim_compress.runtime import Tolerance
from sim_compress.runtime.fixed_point import solve
from sim_compress.runtime.schedule import schedule

RUNS = 8
# Errors of one operation in units of the last place, and of the smallest number.
UNITS = 16 * 2.0**-24
SMALLEST = 16 * 2.0**-149
# Sums of terms beyond may overflow on the way.
OVERFLOW = 1e38
# The largest of RUNS draws against what one may be.
FACTOR = 4.0


@dataclass(frozen=True)
class Uncertain:
    """A value (*shape, samples), and where nothing is known of it."""

    value: Array
    unknown: NDArray[np.bool_]


def explained(
    model: ImplicitModel, inputs: Mapping[str, Array], one: Mapping[str, Array], other: Mapping[str, Array]
) -> bool:
    """Whether rounding explains the difference of two evaluations, name -> (samples, ...), of a model."""
    with np.errstate(all="ignore"):
        runs = [_outputs(model, inputs, np.random.default_rng(seed)) for seed in range(RUNS)]
        return all(_within(one[o.name], other[o.name], [run[o.name] for run in runs]) for o in model.outputs)


def _within(one: Array, other: Array, runs: list[Uncertain]) -> bool:
    values = np.stack([np.moveaxis(run.value, -1, 0) for run in runs]).astype(np.float64)
    unknown = np.any([np.moveaxis(run.unknown, -1, 0) for run in runs], axis=0)
    # Some runs with and some without a number: at a border.
    unknown |= np.isfinite(values).any(axis=0) & ~np.isfinite(values).all(axis=0)
    spread = values.max(axis=0) - values.min(axis=0)
    near = np.abs(one.astype(np.float64) - other) <= FACTOR * spread + SMALLEST
    return bool((unknown | near | (one == other) | (np.isnan(one) & np.isnan(other))).all())


def _outputs(
    model: ImplicitModel, inputs: Mapping[str, Array], rng: np.random.Generator
) -> dict[str, Uncertain]:
    values = {}
    for i in model.inputs:
        value = np.moveaxis(i.values(inputs[i.name]), 0, -1)
        values[i.name] = Uncertain(value, np.zeros(value.shape, bool))
    for stage in schedule(model):
        if stage.cyclic:
            values |= _equilibrium(stage.blocks, values, rng)
        else:
            values |= {b.name: _state(b, values, rng) for b in stage.blocks}
    return {o.name: _preactivation(o.affine, values, rng) for o in model.outputs}


def _equilibrium(
    blocks: tuple[StateBlock, ...], values: Mapping[str, Uncertain], rng: np.random.Generator
) -> dict[str, Uncertain]:
    """States of a loop: with the last errors an iteration moves within a few tolerances of where it ends."""
    tolerance = Tolerance()
    samples = next(iter(values.values())).value.shape[-1]
    sizes = [int(np.prod(b.shape)) for b in blocks]

    def split(x: Array) -> dict[str, Uncertain]:
        parts = np.split(x, np.cumsum(sizes)[:-1])
        shaped = (p.reshape(*b.shape, samples) for b, p in zip(blocks, parts, strict=True))
        return {b.name: Uncertain(p, np.isnan(p)) for b, p in zip(blocks, shaped, strict=True)}

    def step(x: Array) -> Array:
        known = {**values, **split(x)}
        states = [_state(b, known, rng) for b in blocks]
        joined = [np.where(s.unknown, np.nan, s.value).reshape(-1, samples) for s in states]
        found = np.concatenate(joined).astype(np.float32)
        allowed = tolerance.residual * (1 + np.abs(found).max(axis=0, initial=0))
        return found + allowed * _draws(found.shape, rng)

    states, _ = solve(step, sum(sizes), samples, Tolerance(100 * tolerance.residual, 50))
    return split(states)


def _state(block: StateBlock, values: Mapping[str, Uncertain], rng: np.random.Generator) -> Uncertain:
    z = _preactivation(block.affine, values, rng)
    x = block.phi(z.value)
    if block.phi.kind.componentwise:
        unknown = z.unknown
    else:
        unknown = np.broadcast_to(z.unknown.reshape(-1, z.unknown.shape[-1]).any(axis=0), x.shape)
    return _noisy(x, np.abs(x), unknown, rng)


def _preactivation(affine: Affine, values: Mapping[str, Uncertain], rng: np.random.Generator) -> Uncertain:
    parts = [_term(affine, term, values[term.source], rng) for term in affine.terms]
    total = np.sum([p[0] for p in parts], axis=0, dtype=np.float32)
    size = np.sum([p[1] for p in parts], axis=0, dtype=np.float64)
    unknown = np.any([p[2] for p in parts], axis=0)
    if affine.bias is not None:
        bias = affine.bias.reshape(-1, *(1,) * (total.ndim - 1 - affine.row_axis))
        total, size = total + bias, size + np.abs(bias)
    return _noisy(total, size, unknown, rng)


def _term(
    affine: Affine, term: Term, source: Uncertain, rng: np.random.Generator
) -> tuple[Array, Array, Array]:
    """One term's part of z, the sum of the sizes of its products, and what is unknown."""
    features = source
    for step in term.maps:
        features = _mapped(step, features, rng)
    value, size, unknown = features.value, np.abs(features.value).astype(np.float64), features.unknown
    if term.weight is None:
        return value, size, unknown

    def rows(weight: sparse.csr_array, x: Array) -> Array:
        return affine.placed(weight @ x.reshape(len(value), -1), value.shape[-1])

    reads = sparse.csr_array((term.weight != 0).astype(np.float32))
    return (
        rows(term.weight, value.astype(np.float32)),
        rows(abs(term.weight.astype(np.float64)), np.where(unknown, 0, size)),
        rows(reads, unknown.astype(np.float32)) > 0,
    )


def _mapped(step: LinearMap, x: Uncertain, rng: np.random.Generator) -> Uncertain:
    if isinstance(step, Lookup):
        value = step.apply(x.value)
        ids = np.broadcast_to(x.unknown[..., None, :], value.shape)
        return Uncertain(value, ids)
    value, size = step.apply(x.value), np.abs(x.value).astype(np.float64)
    reads = step
    match step:
        case Scale():
            # Of 0 times what is not finite a kernel may make 0 or NaN.
            wild = ~np.isfinite(value) & (step.factor == 0)[..., None]
            reads, sizes = Reads, Scale(np.abs(step.factor)).apply(size)
            x = Uncertain(x.value, x.unknown | wild)
        case Offset():
            reads, sizes = Reads, Offset(np.abs(step.offset)).apply(size)
        case AlongAxis():
            reads = AlongAxis(step.axis, step.matrix != 0)
            sizes = AlongAxis(step.axis, abs(step.matrix)).apply(size)
        case Sum():
            sizes = step.apply(size)
        case _:
            return Uncertain(value, step.apply(x.unknown))
    unknown = x.unknown if reads is Reads else reads.apply(x.unknown.astype(np.float32)) > 0
    return _noisy(value, sizes, np.asarray(unknown), rng)


class Reads:
    """Marks a map whose every entry comes from the entry at its own place."""


def _noisy(value: Array, size: Array, unknown: Array, rng: np.random.Generator) -> Uncertain:
    """The value with an error in proportion to the size of the terms it is the sum of."""
    error = (UNITS * size + SMALLEST) * _draws(value.shape, rng)
    unknown = unknown | (size > OVERFLOW)
    moved = value.astype(np.float32) + error.astype(np.float32)
    return Uncertain(np.where(np.isfinite(value), moved, value).astype(np.float32), unknown)


def _draws(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return rng.uniform(-1, 1, shape).astype(np.float32)
