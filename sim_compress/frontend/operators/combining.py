"""Nonlinear operators of several tensors, entry by entry: one state block with several parts."""

from collections.abc import Callable

import numpy as np
import onnx

from sim_compress.activations import Activation
from sim_compress.frontend.axes.rules.elementwise import elementwise
from sim_compress.frontend.operators.activation import becomes, between
from sim_compress.frontend.registry import FLOATS, Activated, Call, RefusalError, Result, operator
from sim_compress.frontend.terms.broadcasting import broadcast, stretched
from sim_compress.frontend.terms.expressions import scaled, summed
from sim_compress.frontend.terms.parts import joined, parts_of, several
from sim_compress.frontend.terms.rows import finite
from sim_compress.model import Affine, Scale
from sim_compress.model.maps import Array

# ONNX operator -> phi of two parts.
PAIRS = {
    "Equal": "equal",
    "Less": "less",
    "LessOrEqual": "less_or_equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_or_equal",
    "And": "and",
    "Or": "or",
    "Xor": "xor",
}
# Types whose numbers float32 states hold as they are, up to 2^24.
WHOLE = (
    onnx.TensorProto.INT8,
    onnx.TensorProto.INT16,
    onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
    onnx.TensorProto.UINT8,
)
# Exponents with a function of their own, which is faster and rounds better.
POWERS = {0.5: "sqrt", 2.0: "square", -1.0: "reciprocal"}


def _pair(phi: str) -> Callable[[Call], Activated]:
    return lambda call: several(call, phi, (0, 1))


for _name, _phi in PAIRS.items():
    operator(_name, elementwise, becomes=becomes(_phi), limits="truth is 1 and 0")(_pair(_phi))


def product(call: Call) -> Activated:
    """The product of two activations, the square where they are one."""
    if call.node.input[0] == call.node.input[1]:
        return Activated(call.affine(0), Activation("square"))
    return several(call, "product", (0, 1))


def quotient(call: Call) -> Activated:
    """A division by an activation; that of one number is a reciprocal with a scale behind it."""
    if not (call.is_float(0) and call.is_float(1)):
        raise RefusalError("divides whole numbers; cast them to floats first")
    if not call.is_constant(0) or call.constant(0).size > 1:
        return several(call, "quotient", (0, 1))
    factor = finite(call.constant(0).reshape(()))
    maps = () if factor == 1 else (Scale(factor),)
    return Activated(call.affine(1), Activation("reciprocal"), maps)


def matrix_product(call: Call) -> Activated:
    """The matrix product of two activations."""
    left, right = parts_of(call, (0, 1))
    return joined("matmul", (left, right))


@operator("Pow", elementwise, becomes="state block with phi = power, square, sqrt, reciprocal or raised")
def power(call: Call) -> Result:
    if not call.is_constant(1) or call.constant(1).size > 1:
        return several(call, "raised", (0, 1))
    exponent = float(call.constant(1).item())
    if exponent == 1:
        return call.affine(0)
    if exponent in POWERS:
        return Activated(call.affine(0), Activation(POWERS[exponent]))
    return Activated(call.affine(0), Activation("power", {"exponent": exponent}))


@operator("Max", elementwise, becomes=becomes("maximum") + " or clip")
def maximum(call: Call) -> Result:
    return _extreme(call, "maximum", lambda bound: between(bound, None))


@operator("Min", elementwise, becomes=becomes("minimum") + " or clip")
def minimum(call: Call) -> Result:
    return _extreme(call, "minimum", lambda bound: between(None, bound))


def _extreme(call: Call, phi: str, clip: Callable[[Array], Activation]) -> Result:
    activations = [i for i in call.positions if not call.is_constant(i)]
    bounds = [call.constant(i) for i in call.positions if call.is_constant(i)]
    if len(call.positions) == 1:
        return call.affine(0)
    if len(activations) == len(bounds) == 1 and bounds[0].size == 1:
        return Activated(call.affine(activations[0]), clip(bounds[0]))
    return several(call, phi, call.positions)


@operator("Where", elementwise, becomes=becomes("where") + "; scales where the condition is constant")
def where(call: Call) -> Result:
    if not call.is_constant(0):
        return several(call, "where", (0, 1, 2))
    return _chosen(call, np.asarray(call.constant(0), bool))


def _chosen(call: Call, condition: Array) -> Affine:
    """A choice that the file makes: each entry comes from one side."""
    sides = parts_of(call, (1, 2))
    mask = finite(condition)
    shape = broadcast([mask.shape, *(side.shape for side in sides)])
    pairs = zip(sides, (mask, 1 - mask), strict=True)
    return summed([scaled(stretched(side, shape), factor) for side, factor in pairs])


@operator("Mod", elementwise, becomes=becomes("remainder") + " or truncated_remainder")
def mod(call: Call) -> Activated:
    return several(call, "truncated_remainder" if call.attribute("fmod", 0) else "remainder", (0, 1))


@operator(
    "Cast",
    elementwise,
    becomes="nothing, or a state block with phi = truncate or nonzero",
    limits="to numbers",
)
def cast(call: Call) -> Result:
    wanted = call.attribute("to")
    if wanted in FLOATS or wanted == call.types.get(call.node.input[0]):
        return call.affine(0)
    if wanted == onnx.TensorProto.BOOL:
        return Activated(call.affine(0), Activation("nonzero"))
    if wanted not in WHOLE:
        raise RefusalError(f"casts to {onnx.TensorProto.DataType.Name(wanted)}")
    return Activated(call.affine(0), Activation("truncate")) if call.is_float(0) else call.affine(0)
