"""Whole numbers that shape arithmetic computes: polynomials in N and n, and what is unknown of them.

N is the number of samples, n the number of one sample, 0 <= n < N. A shape (N, 7) is the array [N, 7]; the
ids of four windows a sample are the array [4 n, 4 n + 1, 4 n + 2, 4 n + 3]. Arrays of such numbers have dtype
object.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import numpy as np

from sim_compress.model.maps import Array

Scalar = bool | int | float
Number = Union[Scalar, "Polynomial", "Unknown"]
# Exponents of N and n.
Powers = tuple[int, int]
ONE: Powers = (0, 0)


@dataclass(frozen=True)
class Polynomial:
    """A sum of coefficients times powers of N and n; at least one power is not 0."""

    terms: tuple[tuple[Powers, int | float], ...]

    @property
    def coefficients(self) -> dict[Powers, int | float]:
        return dict(self.terms)

    def __add__(self, other: Number) -> Number:
        if isinstance(other, Unknown):
            return other + self
        total = self.coefficients
        for powers, coefficient in _coefficients(other).items():
            total[powers] = total.get(powers, 0) + coefficient
        return _simplified(total)

    __radd__ = __add__

    def __neg__(self) -> Number:
        return self * -1

    def __sub__(self, other: Number) -> Number:
        return self + _negative(other)

    def __rsub__(self, other: Number) -> Number:
        return -self + other

    def __mul__(self, other: Number) -> Number:
        if isinstance(other, Unknown):
            return other * self
        total: dict[Powers, int | float] = {}
        for (a, b), left in self.terms:
            for (c, d), right in _coefficients(other).items():
                total[a + c, b + d] = total.get((a + c, b + d), 0) + left * right
        return _simplified(total)

    __rmul__ = __mul__

    def __str__(self) -> str:
        def term(powers: Powers, coefficient: int | float) -> str:
            names = ["N"] * powers[0] + ["n"] * powers[1]
            return " ".join([str(coefficient), *names] if coefficient != 1 or not names else names)

        return " + ".join(
            term(powers, coefficient) for powers, coefficient in sorted(self.terms, reverse=True)
        )

    def at(self, samples: int, sample: int = 0) -> int | float:
        """The value for `samples` samples in the place of one of them."""
        return sum(c * samples**a * sample**b for (a, b), c in self.terms)


@dataclass(frozen=True)
class Unknown:
    """A number that the data decide.

    Attributes:
        by_sample: whether N or n may have a part in it, beside the data of the sample.
        base: a number to which the data add a whole number from `low` to `high`; None where nothing is known.
    """

    by_sample: bool = False
    base: int | Polynomial | None = None
    low: int = 0
    high: int = 0

    def __add__(self, other: Number) -> Number:
        if self.base is None or isinstance(other, Unknown | float):
            return _mixed(self, other)
        base = self.base + other
        assert isinstance(base, int | Polynomial)
        return Unknown(isinstance(base, Polynomial), base, self.low, self.high)

    __radd__ = __add__

    def __sub__(self, other: Number) -> Number:
        return self + _negative(other)

    def __rsub__(self, other: Number) -> Number:
        return _mixed(self, other)

    def __mul__(self, other: Number) -> Number:
        return self if not isinstance(other, Unknown | Polynomial) and other == 1 else _mixed(self, other)

    __rmul__ = __mul__

    def __neg__(self) -> Number:
        return _mixed(self)

    def __str__(self) -> str:
        return "?" if self.base is None else f"{self.base} + {self.low}..{self.high}"


def sample_count(factor: int = 1) -> Polynomial:
    """The number `factor` N."""
    return Polynomial((((1, 0), factor),))


def sample_number(factor: int = 1) -> Polynomial:
    """The number `factor` n."""
    return Polynomial((((0, 1), factor),))


def depends(number: Number) -> bool:
    """Whether N or n may have a part in a number."""
    return isinstance(number, Polynomial) or (isinstance(number, Unknown) and number.by_sample)


def is_plain(number: Number) -> bool:
    return not isinstance(number, Polynomial | Unknown)


def _mixed(*numbers: Number) -> Unknown:
    return Unknown(any(depends(number) for number in numbers))


def _coefficients(number: Number) -> Mapping[Powers, int | float]:
    if isinstance(number, Polynomial):
        return number.coefficients
    assert not isinstance(number, Unknown)
    return {ONE: number}


def _simplified(coefficients: Mapping[Powers, int | float]) -> Number:
    kept = {powers: c for powers, c in coefficients.items() if c != 0}
    if set(kept) <= {ONE}:
        return kept.get(ONE, 0)
    return Polynomial(tuple(sorted(kept.items())))


def _negative(number: Number) -> Number:
    return -number if not isinstance(number, bool) else -int(number)


def divided(a: Number, b: Number) -> Number:
    """a / b as ONNX divides: whole numbers rounded towards zero."""
    if is_plain(a) and is_plain(b):
        return _plain_quotient(a, b)
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        return _mixed(a, b)
    divisor = _coefficients(b)
    ((c, d), factor) = next(iter(divisor.items()))
    if len(divisor) != 1 or not factor:
        return Unknown(True)
    quotient: dict[Powers, int | float] = {}
    for (e, f), coefficient in _coefficients(a).items():
        if not coefficient:
            continue
        if e < c or f < d or coefficient % factor:
            return Unknown(True)
        quotient[e - c, f - d] = coefficient // factor
    return _simplified(quotient)


def _plain_quotient(a: Any, b: Any) -> Number:
    if not all(isinstance(x, int | np.integer) for x in (a, b)):
        return a / b
    if b == 0:
        return Unknown()
    return int(a) // int(b) if (a < 0) == (b < 0) or a % b == 0 else -(abs(int(a)) // abs(int(b)))


def remainder(a: Number, b: Number) -> Number:
    """a modulo b, with the sign of b."""
    if is_plain(a) and is_plain(b):
        return a % b if b else Unknown()  # pyright: ignore[reportOperatorIssue]
    return 0 if not isinstance(divided(a, b), Unknown) else _mixed(a, b)


@dataclass(frozen=True)
class Sign:
    """What holds of a number for every N >= 1 and 0 <= n < N."""

    at_least_zero: bool
    above_zero: bool
    at_most_zero: bool
    below_zero: bool


def _sign(p: Polynomial) -> Sign:
    """The sign of c + a N + b n, which is linear and so known at its corners; of other powers only a part."""
    found = p.coefficients
    c, a, b = (found.get(powers, 0) for powers in (ONE, (1, 0), (0, 1)))
    if set(found) - {ONE, (1, 0), (0, 1)}:
        return Sign(min(found.values()) >= 0, False, False, False)
    # With n = 0 it is c + a N; with n = N - 1 it is c - b + (a + b) N: each a start at N = 1 and a slope.
    lines = [(c + a, a), (c + a, a + b)]
    return Sign(
        all(start >= 0 and slope >= 0 for start, slope in lines),
        all(start > 0 and slope >= 0 for start, slope in lines),
        all(start <= 0 and slope <= 0 for start, slope in lines),
        all(start < 0 and slope <= 0 for start, slope in lines),
    )


def _sign_of(number: Number) -> Sign:
    if isinstance(number, Polynomial):
        return _sign(number)
    assert not isinstance(number, Unknown)
    return Sign(bool(number >= 0), bool(number > 0), bool(number <= 0), bool(number < 0))


Verdict = Callable[[Sign], "bool | None"]
_VERDICTS: dict[str, Verdict] = {
    "Less": lambda s: True if s.below_zero else False if s.at_least_zero else None,
    "LessOrEqual": lambda s: True if s.at_most_zero else False if s.above_zero else None,
    "Greater": lambda s: True if s.above_zero else False if s.at_most_zero else None,
    "GreaterOrEqual": lambda s: True if s.at_least_zero else False if s.below_zero else None,
    "Equal": lambda s: (
        True if s.at_least_zero and s.at_most_zero else False if s.above_zero or s.below_zero else None
    ),
}


def compared(operator: str, a: Number, b: Number) -> Number:
    """Whether a comparison holds for every N and n; unknown where that depends on them or on data."""
    if isinstance(a, Unknown) or isinstance(b, Unknown):
        if operator == "Equal":
            # Between two differences that are not 0 there may be one that is.
            apart = any(compared(o, a, b) is True for o in ("Less", "Greater"))
            return False if apart else _mixed(a, b)
        verdicts = {_VERDICTS[operator](_sign_of(d)) for d in _extremes(a, b)}
        only = verdicts.pop() if len(verdicts) == 1 else None
        return _mixed(a, b) if only is None else only
    difference = a - b if is_plain(a) is False or is_plain(b) is False else _plain_difference(a, b)
    verdict = _VERDICTS[operator](_sign_of(difference))
    if verdict is not None:
        return verdict
    if operator == "Equal" and not any(n for (_, n), _ in difference.terms):  # pyright: ignore
        # The number of samples is no number in particular.
        return False
    return Unknown(True)


def _plain_difference(a: Any, b: Any) -> Number:
    return float(a) - float(b) if isinstance(a, float | np.floating) else int(a) - int(b)


def _extremes(a: Number, b: Number) -> list[Number]:
    """The least and the greatest a - b where one of them is a known number and an unknown within bounds."""
    ranged, other = (a, b) if isinstance(a, Unknown) else (b, a)
    assert isinstance(ranged, Unknown)
    if ranged.base is None or isinstance(other, Unknown):
        return [0, 1, -1]
    ends = [ranged.base + ranged.low - other, ranged.base + ranged.high - other]  # pyright: ignore
    return ends if ranged is a else [_negative(e) for e in ends]


def chosen(condition: Number, a: Number, b: Number) -> Number:
    """a where a condition holds, else b."""
    if isinstance(condition, Unknown):
        return Unknown(depends(condition) or depends(a) or depends(b))
    return a if condition else b


def _extreme(greater: bool) -> Callable[[Number, Number], Number]:
    def pick(a: Number, b: Number) -> Number:
        verdict = compared("GreaterOrEqual", a, b)
        return verdict if isinstance(verdict, Unknown) else (a if bool(verdict) == greater else b)

    return pick


def _comparison(operator: str) -> Callable[[Number, Number], Number]:
    return lambda a, b: compared(operator, a, b)


_FUNCTIONS: dict[str, tuple[Callable[..., Number], int]] = {
    "Add": (lambda a, b: a + b, 2),
    "Sub": (lambda a, b: a - b, 2),
    "Mul": (lambda a, b: a * b, 2),
    "Div": (divided, 2),
    "Mod": (remainder, 2),
    "Neg": (_negative, 1),
    "Max": (_extreme(True), 2),
    "Min": (_extreme(False), 2),
    "Where": (chosen, 3),
    "Cast": (lambda a: a, 1),
    "Identity": (lambda a: a, 1),
    **{name: (_comparison(name), 2) for name in _VERDICTS},
}
# ONNX operator -> what it does to arrays of numbers.
ARITHMETIC = {name: np.frompyfunc(f, count, 1) for name, (f, count) in _FUNCTIONS.items()}


def objects(values: Array) -> Array:
    """An array of numbers as Python's own."""
    return values if values.dtype == object else values.astype(object)


def unknowns(shape: tuple[int, ...], unknown: Unknown | None = None) -> Array:
    """An array of one unknown number; without one given, a number that the data of the sample decide."""
    filled = np.empty(shape, object)
    filled[...] = Unknown() if unknown is None else unknown
    return filled


def tidied(values: Array) -> Array:
    """Numbers of dtype bool, int64 or float32 where all of them are known, as they are elsewhere."""
    if values.dtype != object or any(not is_plain(v) for v in values.flat):
        return values
    kinds = {np.asarray(v).dtype.kind for v in values.flat}
    dtype = bool if kinds == {"b"} else np.int64 if kinds <= {"b", "i", "u"} else np.float32
    return values.astype(dtype)


def at_first(values: Array) -> Array:
    """Known numbers of one sample alone: with N = 1 and n = 0."""
    if values.dtype != object:
        return values
    one = np.empty(values.shape, object)
    for place, number in enumerate(values.flat):
        one.flat[place] = number.at(1) if isinstance(number, Polynomial) else number
    return tidied(one)


def is_known(values: Array) -> bool:
    """Whether no number of an array is unknown; some may be polynomials."""
    return values.dtype != object or not any(isinstance(v, Unknown) for v in values.flat)


def is_constant(values: Array) -> bool:
    """Whether every number of an array is known and the same for all samples."""
    return values.dtype != object or all(is_plain(v) for v in values.flat)


def any_depends(values: Array | None) -> bool:
    """Whether N or n may have a part in a number of an array."""
    return values is not None and values.dtype == object and any(depends(v) for v in values.flat)
