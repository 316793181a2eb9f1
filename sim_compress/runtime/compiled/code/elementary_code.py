"""LLVM code of exponentials and error functions on vectors, the same instructions on every processor.

Polynomials are least-maximum fits of the relative error in float64 on the intervals below. Against float64
(`tests/runtime/compiled/test_elementary.py`) exp is off by 2 units in the last place, the others by 1e-6.
"""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from sim_compress.runtime.compiled.code.vectors import (
    INT32,
    VECTOR,
    WIDTH,
    larger,
    multiply_add,
    smaller,
)

INTEGERS = ir.VectorType(INT32, WIDTH)
# (exp(r) - 1 - r) / r^2 for |r| <= log(2) / 2.
EXPONENTIAL = (1.9790351e-4, 1.3944658e-3, 8.3334971e-3, 4.1666295e-2, 0.16666666, 0.5)
# exp(a^2) erfc(a) / t with t = 1 / (1 + BEND a), for 0 <= a <= 10.5.
BEND = 0.3
COMPLEMENT = (
    -0.12955477760616793,
    0.4857304458584478,
    -0.5126542352434568,
    0.5481930045378711,
    -0.09501381766645224,
    0.2151000389931877,
    0.14828843497800923,
    0.17072344706312448,
    0.16918743944948297,
)
# erf(x) / x in x^2, for |x| <= 1.
ERROR = (
    7.853855519838179e-05,
    -0.0008010191857809046,
    0.0051883274844144785,
    -0.026853811829219636,
    0.11283585146073988,
    -0.3761262582400874,
    1.1283791657266777,
)
# log(2) as a number of few digits, so that its multiples are exact, and the rest.
LOG2, LOG2_HIGH, LOG2_LOW = 1.4426950408889634, 0.693359375, -2.12194440e-4
# Added and taken away again it rounds to a whole number, which its last digits hold in between.
WHOLE = 12582912.0
# exp is infinite beyond, and 0 below.
HIGHEST, LOWEST = 90.0, -105.0


def constant(value: float) -> Any:
    """A number in all lanes."""
    return ir.Constant(VECTOR, [value] * WIDTH)


def polynomial(b: ir.IRBuilder, coefficients: Sequence[float], x: Any) -> Any:
    """The highest power first."""
    total = constant(coefficients[0])
    for coefficient in coefficients[1:]:
        total = multiply_add(b, total, x, constant(coefficient))
    return total


def _reduced(b: ir.IRBuilder, x: Any, more: Any | None) -> tuple[Any, Any]:
    """Whole n and exp(r) - 1 with x + more = n log(2) + r."""
    x = smaller(b, constant(HIGHEST), larger(b, constant(LOWEST), x))
    shifted = b.fadd(multiply_add(b, x, constant(LOG2), constant(WHOLE)), constant(0.0))
    n = b.fsub(shifted, constant(WHOLE))
    r = multiply_add(b, n, constant(-LOG2_LOW), multiply_add(b, n, constant(-LOG2_HIGH), x))
    r = r if more is None else b.fadd(r, more)
    whole = b.sub(b.bitcast(shifted, INTEGERS), b.bitcast(constant(WHOLE), INTEGERS))
    return whole, multiply_add(b, b.fmul(r, r), polynomial(b, EXPONENTIAL, r), r)


def _power(b: ir.IRBuilder, n: Any) -> Any:
    """2^n for -126 <= n <= 127."""
    bias, place = (ir.Constant(INTEGERS, [v] * WIDTH) for v in (127, 23))
    return b.bitcast(b.shl(b.add(n, bias), place), VECTOR)


def exponential(b: ir.IRBuilder, x: Any, more: Any | None = None) -> Any:
    """exp(x + more), `more` small beside x; NaN of NaN."""
    n, less = _reduced(b, x, more)
    # In two steps: 2^n alone may be too large or too small where the product is a number.
    half = b.ashr(n, ir.Constant(INTEGERS, [1] * WIDTH))
    return b.fmul(b.fmul(b.fadd(less, constant(1.0)), _power(b, half)), _power(b, b.sub(n, half)))


def exponential_less_one(b: ir.IRBuilder, x: Any) -> Any:
    """exp(x) - 1 with the digits of small x, for x <= 80."""
    n, less = _reduced(b, x, None)
    scale = _power(b, larger_whole(b, n, -126))
    return b.fadd(b.fmul(scale, less), b.fsub(scale, constant(1.0)))


def larger_whole(b: ir.IRBuilder, n: Any, bound: int) -> Any:
    """max(n, bound) of whole numbers."""
    low = ir.Constant(INTEGERS, [bound] * WIDTH)
    return b.select(b.icmp_signed(">", n, low), n, low)


def absolute(b: ir.IRBuilder, x: Any) -> Any:
    """|x|."""
    kept = ir.Constant(INTEGERS, [2**31 - 1] * WIDTH)
    return b.bitcast(b.and_(b.bitcast(x, INTEGERS), kept), VECTOR)


def with_sign(b: ir.IRBuilder, size: Any, x: Any) -> Any:
    """A number that is not negative, with the sign of x."""
    sign = b.and_(b.bitcast(x, INTEGERS), ir.Constant(INTEGERS, [-(2**31)] * WIDTH))
    return b.bitcast(b.or_(b.bitcast(size, INTEGERS), sign), VECTOR)


def sigmoid(b: ir.IRBuilder, x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    return b.fdiv(constant(1.0), b.fadd(constant(1.0), exponential(b, b.fneg(x))))


def tangent(b: ir.IRBuilder, x: Any) -> Any:
    """tanh(x)."""
    # From 10 on it is 1.
    double = smaller(b, constant(20.0), b.fmul(absolute(b, x), constant(2.0)))
    less = exponential_less_one(b, double)
    return with_sign(b, b.fdiv(less, b.fadd(less, constant(2.0))), x)


def complement(b: ir.IRBuilder, a: Any) -> Any:
    """erfc(a) for a >= 0."""
    # The square of the first digits is exact; what it lacks is added to the exponent.
    kept = ir.Constant(INTEGERS, [-(2**12)] * WIDTH)
    high = b.bitcast(b.and_(b.bitcast(a, INTEGERS), kept), VECTOR)
    lack = b.fmul(b.fsub(high, a), b.fadd(high, a))
    power = exponential(b, b.fneg(b.fmul(high, high)), lack)
    t = b.fdiv(constant(1.0), multiply_add(b, a, constant(BEND), constant(1.0)))
    return b.fmul(power, b.fmul(t, polynomial(b, COMPLEMENT, t)))


def error_function(b: ir.IRBuilder, x: Any) -> Any:
    """erf(x)."""
    a = absolute(b, x)
    near = b.fmul(a, polynomial(b, ERROR, b.fmul(a, a)))
    far = b.fsub(constant(1.0), complement(b, smaller(b, constant(10.0), a)))
    return with_sign(b, b.select(b.fcmp_ordered("<", a, constant(1.0)), near, far), x)


def log_one_more(b: ir.IRBuilder, u: Any) -> Any:
    """log(1 + u) for 0 <= u <= 1."""
    # 2 artanh(s) with s = u / (2 + u), at most 1/3.
    s = b.fdiv(u, b.fadd(u, constant(2.0)))
    odd = polynomial(b, [1 / k for k in range(17, 0, -2)], b.fmul(s, s))
    return b.fmul(b.fmul(s, constant(2.0)), odd)
