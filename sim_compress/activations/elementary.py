"""Elementary functions of one pre-activation: roots, exponentials, angles, rounding."""

from collections.abc import Callable

import numpy as np

from sim_compress.activations.kind import Array, Attributes, Kind, non_expansive, unbounded


def _plain(formula: str, function: Callable[[Array], Array], *, steep: bool = True) -> Kind:
    """A function without attributes; `steep` where it has no Lipschitz constant, else its constant is 1."""
    lipschitz = unbounded if steep else non_expansive
    return Kind(formula, lambda z, _: function(z), lipschitz=lipschitz)


def _power(z: Array, a: Attributes) -> Array:
    return np.power(z, np.asarray(a["exponent"], z.dtype))


KINDS: dict[str, Kind] = {
    "exp": _plain("exp(z)", np.exp),
    "log": _plain("log(z)", np.log),
    "sqrt": _plain("sqrt(z)", np.sqrt),
    "reciprocal": _plain("1 / z", lambda z: 1 / z),
    "power": Kind("z^exponent", _power, lipschitz=unbounded, attributes=("exponent",)),
    "sin": _plain("sin(z)", np.sin, steep=False),
    "cos": _plain("cos(z)", np.cos, steep=False),
    "tan": _plain("tan(z)", np.tan),
    "asin": _plain("arcsin(z)", np.arcsin),
    "acos": _plain("arccos(z)", np.arccos),
    "atan": _plain("arctan(z)", np.arctan, steep=False),
    "sinh": _plain("sinh(z)", np.sinh),
    "cosh": _plain("cosh(z)", np.cosh),
    "asinh": _plain("arsinh(z)", np.arcsinh, steep=False),
    "acosh": _plain("arcosh(z)", np.arccosh),
    "atanh": _plain("artanh(z)", np.arctanh),
    "floor": _plain("largest whole number <= z", np.floor),
    "ceil": _plain("smallest whole number >= z", np.ceil),
    "round": _plain("nearest whole number, halves to the even one", np.rint),
    "truncate": _plain("whole part of z, towards 0", np.trunc),
    "sign": _plain("-1, 0 or 1", np.sign),
    "nonzero": _plain("1 where z is not 0, else 0", lambda z: (z != 0).astype(z.dtype)),
    "not": _plain("1 where z is 0, else 0", lambda z: (z == 0).astype(z.dtype)),
}
