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
# Errors of one operation, in halves of a unit in the last place and in smallest numbers.
UNITS = 16
# The largest of RUNS draws against what one may be.
FACTOR = 4.0


@dataclass(frozen=True)
class Precision:
    """A float format.

    Attributes:
        rounding: half a unit in the last place of 1.
        smallest: the number next to 0.
        overflow: sums of terms beyond may be infinite on the way.
        phi: error of a phi as such, where it is approximated.
    """

    rounding: float
    smallest: float
    overflow: float
    phi: float = 0.0


FLOAT32 = Precision(2.0**-24, 2.0**-149, 1e38)
# onnxruntime's sigmoid is 0 below -18, its exponential below -87.
ONNXRUNTIME = Precision(2.0**-24, 2.0**-149, 1e38, 1e-8)
FLOAT16 = Precision(2.0**-11, 2.0**-24, 2e4, 2.0**-24)
BFLOAT16 = Precision(2.0**-8, 2.0**-133, 1e38, 1e-8)


@dataclass(frozen=True)
class Noise:
    """Random errors of a precision."""

    precision: Precision
    rng: np.random.Generator

    def draws(self, shape: tuple[int, ...]) -> Array:
        """Numbers between -1 and 1."""
        return self.rng.uniform(-1, 1, shape).astype(np.float32)

    def added(self, value: Array, size: Array, unknown: Array) -> "Uncertain":
        """A value with an error in proportion to the sizes of the terms that it is the sum of.

        A sum of zeros is 0 in any order.
        """
        p = self.precision
        error = UNITS * np.where(size == 0, 0, p.rounding * size + p.smallest) * self.draws(value.shape)
        moved = value.astype(np.float32) + error.astype(np.float32)
        kept = np.where(np.isfinite(value), moved, value).astype(np.float32)
        return Uncertain(kept, unknown | (size > p.overflow))


@dataclass(frozen=True)
class Uncertain:
    """A value (*shape, samples), and where nothing is known of it."""

    value: Array
    unknown: NDArray[np.bool_]


def explained(
    model: ImplicitModel,
    inputs: Mapping[str, Array],
    one: Mapping[str, Array],
    other: Mapping[str, Array],
    precision: Precision = FLOAT32,
) -> bool:
    """Whether rounding explains the difference of two evaluations, name -> (samples, ...), of a model."""
    with np.errstate(all="ignore"):
        noises = [Noise(precision, np.random.default_rng(seed)) for seed in range(RUNS)]
        runs = [_outputs(model, inputs, noise) for noise in noises]
        names = [o.name for o in model.outputs]
        return all(_within(one[n], other[n], [run[n] for run in runs], precision) for n in names)


def _within(one: Array, other: Array, runs: list[Uncertain], precision: Precision) -> bool:
    values = np.stack([np.moveaxis(run.value, -1, 0) for run in runs]).astype(np.float64)
    unknown = np.any([np.moveaxis(run.unknown, -1, 0) for run in runs], axis=0)
    # Some runs with and some without a number: at a border.
    unknown |= np.isfinite(values).any(axis=0) & ~np.isfinite(values).all(axis=0)
    spread = values.max(axis=0) - values.min(axis=0)
    near = np.abs(one.astype(np.float64) - other) <= FACTOR * spread + UNITS * precision.smallest
    return bool((unknown | near | (one == other) | (np.isnan(one) & np.isnan(other))).all())


def _outputs(model: ImplicitModel, inputs: Mapping[str, Array], noise: Noise) -> dict[str, Uncertain]:
    values = {}
    for i in model.inputs:
        value = np.moveaxis(i.values(inputs[i.name]), 0, -1)
        values[i.name] = Uncertain(value, np.zeros(value.shape, bool))
    for stage in schedule(model):
        if stage.cyclic:
            values |= _equilibrium(stage.blocks, values, noise)
        else:
            values |= {b.name: _state(b, values, noise) for b in stage.blocks}
    return {o.name: _preactivation(o.affine, values, noise) for o in model.outputs}


def _equilibrium(
    blocks: tuple[StateBlock, ...], values: Mapping[str, Uncertain], noise: Noise
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
        states = [_state(b, known, noise) for b in blocks]
        joined = [np.where(s.unknown, np.nan, s.value).reshape(-1, samples) for s in states]
        found = np.concatenate(joined).astype(np.float32)
        allowed = tolerance.residual * (1 + np.abs(found).max(axis=0, initial=0))
        return found + allowed * noise.draws(found.shape)

    states, _ = solve(step, sum(sizes), samples, Tolerance(100 * tolerance.residual, 50))
    return split(states)


def _state(block: StateBlock, values: Mapping[str, Uncertain], noise: Noise) -> Uncertain:
    z = _preactivation(block.affine, values, noise)
    x = block.phi(z.value)
    if block.phi.kind.componentwise:
        unknown = z.unknown
    else:
        unknown = np.broadcast_to(z.unknown.reshape(-1, z.unknown.shape[-1]).any(axis=0), x.shape)
    return noise.added(x, np.abs(x) + noise.precision.phi / noise.precision.rounding, unknown)


def _preactivation(affine: Affine, values: Mapping[str, Uncertain], noise: Noise) -> Uncertain:
    parts = [_term(affine, term, values[term.source], noise) for term in affine.terms]
    total = np.asarray(np.sum([p[0] for p in parts], axis=0, dtype=np.float32))
    size = np.asarray(np.sum([p[1] for p in parts], axis=0, dtype=np.float64))
    unknown = np.any([p[2] for p in parts], axis=0)
    if affine.bias is not None:
        bias = affine.bias.reshape(-1, *(1,) * (total.ndim - 1 - affine.row_axis))
        total, size = total + bias, size + np.abs(bias)
    return noise.added(total, size, unknown)


def _term(affine: Affine, term: Term, source: Uncertain, noise: Noise) -> tuple[Array, Array, Array]:
    """One term's part of z, the sum of the sizes of its products, and what is unknown."""
    features = source
    for step in term.maps:
        features = _mapped(step, features, noise)
    value, size, unknown = features.value, np.abs(features.value).astype(np.float64), features.unknown
    if term.weight is None:
        return value, size, unknown

    def rows(weight: sparse.csr_array, x: Array) -> Array:
        return affine.placed(weight @ x.reshape(len(value), -1), value.shape[-1])

    reads = _pattern(term.weight)
    return (
        rows(term.weight, value.astype(np.float32)),
        rows(abs(term.weight.astype(np.float64)), np.where(unknown, 0, size)),
        rows(reads, unknown.astype(np.float32)) > 0,
    )


def _mapped(step: LinearMap, x: Uncertain, noise: Noise) -> Uncertain:
    if isinstance(step, Lookup):
        value = step.apply(x.value)
        ids = np.broadcast_to(x.unknown[..., None, :], value.shape)
        return Uncertain(value, ids)
    value, size = step.apply(x.value), np.abs(x.value).astype(np.float64)
    unknown = x.unknown
    match step:
        case Scale():
            # Of 0 times what is not finite a kernel may make 0 or NaN.
            unknown = unknown | (~np.isfinite(value) & (step.factor == 0)[..., None])
            sizes = Scale(np.abs(step.factor)).apply(size)
        case Offset():
            sizes = Offset(np.abs(step.offset)).apply(size)
        case AlongAxis():
            reads = AlongAxis(step.axis, _pattern(step.matrix))
            unknown = reads.apply(unknown.astype(np.float32)) > 0
            sizes = AlongAxis(step.axis, abs(step.matrix)).apply(size)
        case Sum():
            unknown = step.apply(unknown.astype(np.float32)) > 0
            sizes = step.apply(size)
        case _:
            return Uncertain(value, step.apply(unknown))
    return noise.added(value, sizes, np.asarray(unknown))


def _pattern(matrix: sparse.csr_array) -> sparse.csr_array:
    """Ones in place of the nonzeros."""
    return sparse.csr_array((np.ones(matrix.nnz, np.float32), matrix.indices, matrix.indptr), matrix.shape)
