"""LLVM code of phi that are one function of every entry, in place on whole vectors."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from sim_compress.compilation import kernel
from sim_compress.runtime.compiled.code.calls import ARGUMENTS, item_code
from sim_compress.runtime.compiled.code.elementary_code import (
    absolute,
    complement,
    constant,
    error_function,
    exponential,
    exponential_less_one,
    log_one_more,
    sigmoid,
    tangent,
)
from sim_compress.runtime.compiled.code.operations import Elementwise
from sim_compress.runtime.compiled.code.vectors import (
    ALIGNED,
    INT64,
    VECTOR,
    WIDTH,
    ZERO,
    Loop,
    Tables,
    at,
    larger,
    load,
    multiply_add,
    smaller,
    splat,
    store,
)

# Of z and two parameters in all lanes.
Function = Callable[[ir.IRBuilder, Any, Any, Any], Any]
# Of the tanh form of GELU: the argument of the sigmoid that it is.
GELU_LINEAR, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715


def _gelu(b: ir.IRBuilder, z: Any, *_: Any) -> Any:
    """z/2 times erfc(-z / sqrt(2)), without the digits that 1 + erf loses below 0."""
    tail = complement(b, smaller(b, constant(15.0), b.fmul(absolute(b, z), constant(math.sqrt(0.5)))))
    both = b.select(b.fcmp_ordered("<", z, ZERO), tail, b.fsub(constant(2.0), tail))
    return b.fmul(b.fmul(z, constant(0.5)), both)


def _gelu_tanh(b: ir.IRBuilder, z: Any, *_: Any) -> Any:
    cubed = multiply_add(b, b.fmul(b.fmul(z, z), constant(GELU_CUBE)), z, z)
    return b.fmul(z, sigmoid(b, b.fmul(cubed, constant(GELU_LINEAR))))


def _swish(b: ir.IRBuilder, z: Any, alpha: Any, _: Any) -> Any:
    return b.fmul(z, sigmoid(b, b.fmul(z, alpha)))


def _softplus(b: ir.IRBuilder, z: Any, *_: Any) -> Any:
    return b.fadd(larger(b, ZERO, z), log_one_more(b, exponential(b, b.fneg(absolute(b, z)))))


def _mish(b: ir.IRBuilder, z: Any, *_: Any) -> Any:
    """z tanh(log(1 + e)) = z (e^2 + 2e) / (e^2 + 2e + 2) with e = exp(z); beyond 20 it is z."""
    e = exponential(b, smaller(b, constant(20.0), z))
    up = b.fmul(e, b.fadd(e, constant(2.0)))
    return b.fmul(z, b.fdiv(up, b.fadd(up, constant(2.0))))


def _elu(b: ir.IRBuilder, z: Any, alpha: Any, gamma: Any) -> Any:
    below = b.fmul(alpha, exponential_less_one(b, smaller(b, ZERO, z)))
    return b.fmul(gamma, b.select(b.fcmp_ordered(">", z, ZERO), z, below))


def _leaky(b: ir.IRBuilder, z: Any, slope: Any, _: Any) -> Any:
    return b.select(b.fcmp_ordered(">", z, ZERO), z, b.fmul(slope, z))


def _root(b: ir.IRBuilder, z: Any, *_: Any) -> Any:
    return root(b, z)


def root(b: ir.IRBuilder, x: Any) -> Any:
    """The square root of every lane."""
    kind = ir.FunctionType(VECTOR, [VECTOR])
    return b.call(cgutils.get_or_insert_function(b.module, kind, f"llvm.sqrt.v{WIDTH}f32"), [x])


# By the name of the phi.
FUNCTIONS: Mapping[str, Function] = {
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "swish": _swish,
    "sigmoid": lambda b, z, *_: sigmoid(b, z),
    "tanh": lambda b, z, *_: tangent(b, z),
    "erf": lambda b, z, *_: error_function(b, z),
    "exp": lambda b, z, *_: exponential(b, z),
    "softplus": _softplus,
    "mish": _mish,
    "elu": _elu,
    "selu": _elu,
    "leaky_relu": _leaky,
    "softsign": lambda b, z, *_: b.fdiv(z, b.fadd(constant(1.0), absolute(b, z))),
    "square": lambda b, z, *_: b.fmul(z, z),
    "abs": lambda b, z, *_: absolute(b, z),
    "nonzero": lambda b, z, *_: b.select(b.fcmp_unordered("!=", z, ZERO), constant(1.0), ZERO),
    "not": lambda b, z, *_: b.select(b.fcmp_ordered("==", z, ZERO), constant(1.0), ZERO),
    "sqrt": _root,
    "reciprocal": lambda b, z, *_: b.fdiv(constant(1.0), z),
}
# By the number that stands in an operation.
KINDS = tuple(FUNCTIONS)


def elementwise_item(b: ir.IRBuilder, arguments: Sequence[Any]) -> None:
    """Function of (tables, item): one function on a share of the vectors."""
    *arguments, item = arguments
    tables = Tables(b, arguments, Elementwise)
    share = tables.field("share")
    begin = b.mul(item, share)
    left = b.sub(tables.field("count"), begin)
    count = b.select(b.icmp_signed("<", share, left), share, left)
    first = at(b, tables.arena, b.add(tables.field("first"), b.mul(begin, INT64(WIDTH))))
    parameters = at(b, tables.floats, tables.field("parameters"))
    given = [splat(b, b.load(at(b, parameters, i))) for i in range(2)]
    end = b.append_basic_block()
    choice = b.switch(tables.field("kind"), end)
    for number, name in enumerate(KINDS):
        case = b.append_basic_block()
        choice.add_case(INT64(number), case)
        b.position_at_end(case)
        loop = Loop(b, count, [first])
        (place,) = loop.carried
        store(b, FUNCTIONS[name](b, load(b, place, ALIGNED), *given), place, ALIGNED)
        loop.leave([at(b, place, WIDTH)])
        b.branch(end)
    b.position_at_end(end)


_code = item_code(elementwise_item)


@kernel(error_model="numpy")
def elementwise(arena: int, integers: int, floats: int, masks: int, row: int, item: int) -> None:
    """One item of an Elementwise."""
    _code(arena, integers, floats, masks, row, item)


ENTRIES: dict[Any, tuple[Any, ...]] = {elementwise: ARGUMENTS}
