"""Elementwise affine operators: sums, and products with constants."""

from collections.abc import Callable

import numpy as np

from sim_compress.frontend.axes.rules.along import triangle
from sim_compress.frontend.axes.rules.elementwise import elementwise
from sim_compress.frontend.axes.rules.leading import channels
from sim_compress.frontend.operators.combining import product, quotient
from sim_compress.frontend.registry import Call, RefusalError, Result, operator
from sim_compress.frontend.terms.broadcasting import broadcast, stretched
from sim_compress.frontend.terms.expressions import can_scale, can_shift, is_weighted, scaled, shifted, summed
from sim_compress.frontend.terms.rows import finite
from sim_compress.model import Affine, Shape
from sim_compress.model.maps import Array

MINUS = np.asarray(-1, np.float32)


@operator("Add", elementwise, becomes="sum of terms; a constant becomes the bias or an offset")
@operator("Sum", elementwise, becomes="sum of terms")
def add(call: Call) -> Affine:
    return _total(call)


@operator("Mean", elementwise, becomes="sum of terms, scale")
def mean(call: Call) -> Affine:
    share = np.asarray(1 / len(call.positions), np.float32)
    return scaled(_total(call), share)


def _total(call: Call) -> Affine:
    activations = [i for i in call.positions if not call.is_constant(i)]
    if not activations:
        raise RefusalError("adds constants only")
    constants = [finite(call.constant(i)) for i in call.positions if call.is_constant(i)]
    shape = broadcast([*(call.affine(i).shape for i in activations), *(c.shape for c in constants)])
    total = summed(_joinable(call, activations, shape))
    if not constants:
        return total
    offset = np.asarray(sum(constants))
    if not can_shift(total, offset):
        # An identity block gives the offset a term to sit on.
        parts = [call.unweighted(activations[0]), *(call.affine(i) for i in activations[1:])]
        total = summed([stretched(p, shape) if p.shape != shape else p for p in parts])
    return shifted(total, offset)


def _joinable(call: Call, positions: list[int], shape: Shape) -> list[Affine]:
    """Expressions of one shape whose weighted terms have one row axis; others are materialised first."""
    weighted = [call.affine(i) for i in positions if is_weighted(call.affine(i))]
    axes = [x.row_axis for x in weighted if x.shape == shape]

    def fits(x: Affine) -> bool:
        return x.shape == shape and (not is_weighted(x) or x.row_axis == axes[0])

    return [
        call.affine(i) if fits(call.affine(i)) else stretched(call.unweighted(i), shape) for i in positions
    ]


@operator("Sub", elementwise, becomes="difference of terms; a constant becomes the bias or an offset")
def sub(call: Call) -> Affine:
    if call.is_constant(1):
        return _with_constant(call, 0, -call.constant(1), can_shift, shifted)
    if call.is_constant(0):
        return scaled(_with_constant(call, 1, -call.constant(0), can_shift, shifted), MINUS)
    shape = broadcast([call.affine(0).shape, call.affine(1).shape])
    left, right = _joinable(call, [0, 1], shape)
    return summed([left, scaled(right, MINUS)])


@operator("Neg", elementwise, becomes="a scale, folded into weights where there are any")
def neg(call: Call) -> Affine:
    return scaled(call.affine(0), MINUS)


@operator(
    "Mul",
    elementwise,
    becomes="a scale, folded into weights where there are any",
    limits="of two activations: state block with phi = product, or square",
)
def mul(call: Call) -> Result:
    if not (call.is_constant(0) or call.is_constant(1)):
        return product(call)
    position = 1 if call.is_constant(0) else 0
    return _with_constant(call, position, call.constant(1 - position), can_scale, scaled)


@operator(
    "Div",
    elementwise,
    becomes="a scale, folded into weights where there are any",
    limits="by an activation: state block with phi = quotient, or reciprocal; not by a constant zero",
)
def div(call: Call) -> Result:
    if not call.is_constant(1):
        return quotient(call)
    divisor = call.constant(1).astype(np.float64)
    if not divisor.all():
        raise RefusalError("divides by zero")
    return _with_constant(call, 0, 1 / divisor, can_scale, scaled)


@operator("Trilu", triangle, becomes="a scale by ones and zeros", limits="constant diagonal")
def trilu(call: Call) -> Affine:
    shape = call.affine(0).shape
    diagonal = int(call.constant(1)) if call.has(1) else 0
    ones = np.ones(shape[-2:], np.float32)
    kept = np.triu(ones, diagonal) if call.attribute("upper", 1) else np.tril(ones, diagonal)
    return _with_constant(call, 0, kept, can_scale, scaled)


def _with_constant(
    call: Call,
    position: int,
    constant: Array,
    fits: Callable[[Affine, Array], bool],
    combine: Callable[[Affine, Array], Affine],
) -> Affine:
    """One activation combined with a constant, materialised first where its rows would not stay tied."""
    x = call.affine(position)
    constant = finite(constant)
    shape = broadcast([x.shape, constant.shape])
    if shape != x.shape:
        x = stretched(call.unweighted(position), shape)
    return combine(x if fits(x, constant) else call.unweighted(position), constant)


@operator(
    "BatchNormalization",
    channels,
    becomes="scale and shift, folded into the rows before it where there are any",
    limits="inference mode",
)
def batch_normalization(call: Call) -> Affine:
    if call.attribute("training_mode", 0) or not call.attribute("spatial", 1):
        raise RefusalError("is not in per-channel inference mode")
    x = call.affine(0)
    if not x.shape:
        raise RefusalError("has no channel axis")
    gamma, beta, mean, variance = (call.constant(i).astype(np.float64) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + call.attribute("epsilon", 1e-5))
    column = (-1, *(1,) * (len(x.shape) - 1))
    factor = finite(scale.reshape(column))
    offset = finite((beta - mean * scale).reshape(column))
    if not (can_scale(x, factor) and can_shift(x, offset)):
        x = call.unweighted(0)
    return shifted(scaled(x, factor), offset)
