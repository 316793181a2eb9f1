"""Phi of several tensors, entry by entry, with numpy's broadcasting between them.

Truth is 1 and 0; whatever is not 0 counts as true.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np

from sim_compress.activations.kind import Array, Attributes, Kind, Shape, non_expansive, unbounded
from sim_compress.activations.parts import check_parts, split


def _kind(
    formula: str,
    function: Callable[..., Array],
    *,
    count: int | None = 2,
    steep: bool = True,
) -> Kind:
    """A function of `count` parts, None for any number of them.

    `steep` where it has no Lipschitz constant, else that is 1.
    """

    def shape_of(shape: Shape, a: Attributes) -> Shape:
        return np.broadcast_shapes(*check_parts(shape, a, count))

    return Kind(
        formula,
        lambda z, a: function(*split(z, a["parts"])).astype(z.dtype, copy=False),
        lipschitz=unbounded if steep else non_expansive,
        componentwise=False,
        entrywise=True,
        state_shape=shape_of,
        attributes=("parts",),
    )


def _maximum(*parts: Array) -> Array:
    return reduce(np.maximum, parts)


def _minimum(*parts: Array) -> Array:
    return reduce(np.minimum, parts)


def _where(condition: Array, chosen: Array, other: Array) -> Array:
    return np.where(condition != 0, chosen, other)


KINDS: dict[str, Kind] = {
    "product": _kind("z1 z2", np.multiply),
    "quotient": _kind("z1 / z2", np.divide),
    "raised": _kind("z1^z2", np.power),
    "remainder": _kind("z1 - z2 floor(z1 / z2)", np.mod),
    "truncated_remainder": _kind("z1 - z2 truncate(z1 / z2)", np.fmod),
    "maximum": _kind("max(z1, z2, ...)", _maximum, count=None, steep=False),
    "minimum": _kind("min(z1, z2, ...)", _minimum, count=None, steep=False),
    "where": _kind("z2 where z1 is not 0, else z3", _where, count=3),
    "equal": _kind("1 where z1 = z2, else 0", np.equal),
    "less": _kind("1 where z1 < z2, else 0", np.less),
    "less_or_equal": _kind("1 where z1 <= z2, else 0", np.less_equal),
    "greater": _kind("1 where z1 > z2, else 0", np.greater),
    "greater_or_equal": _kind("1 where z1 >= z2, else 0", np.greater_equal),
    "and": _kind("1 where neither z1 nor z2 is 0, else 0", np.logical_and),
    "or": _kind("1 where z1 or z2 is not 0, else 0", np.logical_or),
    "xor": _kind("1 where one of z1 and z2 is 0 and the other is not, else 0", np.logical_xor),
}
