"""Reductions of groups of pre-activations along axes, which leave."""

import math
from collections.abc import Callable

import numpy as np

from sim_compress.activations.axes import group_size, without_axes
from sim_compress.activations.kind import Array, Attributes, Kind, Shape, non_expansive, unbounded


def _kind(
    formula: str,
    function: Callable[[Array, tuple[int, ...]], Array],
    *,
    lipschitz: Callable[[Attributes, Shape], float] = non_expansive,
) -> Kind:
    return Kind(
        formula,
        lambda z, a: function(z, tuple(a["axes"])),
        lipschitz=lipschitz,
        componentwise=False,
        state_shape=without_axes,
        attributes=("axes",),
    )


def _log_sum_exp(z: Array, axes: tuple[int, ...]) -> Array:
    largest = z.max(axis=axes, keepdims=True)
    # A group of infinities has no distance to its largest.
    finite = np.where(np.isfinite(largest), largest, 0)
    return np.log(np.exp(z - finite).sum(axis=axes)) + finite.squeeze(axes)


def _first_largest(z: Array, axes: tuple[int, ...]) -> Array:
    (axis,) = axes
    return z.argmax(axis=axis).astype(z.dtype)


def _one_axis(shape: Shape, a: Attributes) -> Shape:
    if len(a["axes"]) != 1:
        raise ValueError(f"expected one axis, found {tuple(a['axes'])}")
    return without_axes(shape, a)


KINDS: dict[str, Kind] = {
    "reduce_max": _kind("largest along axes", lambda z, axes: z.max(axis=axes)),
    "reduce_min": _kind("smallest along axes", lambda z, axes: z.min(axis=axes)),
    "reduce_l1": _kind(
        "sum of |z| along axes",
        lambda z, axes: np.abs(z).sum(axis=axes),
        lipschitz=lambda a, shape: float(group_size(shape, a)),
    ),
    "reduce_l2": _kind(
        "root of the sum of z^2 along axes",
        lambda z, axes: np.sqrt((z * z).sum(axis=axes)),
        lipschitz=lambda a, shape: math.sqrt(group_size(shape, a)),
    ),
    "reduce_sum_square": _kind(
        "sum of z^2 along axes",
        lambda z, axes: (z * z).sum(axis=axes),
        lipschitz=unbounded,
    ),
    "reduce_log_sum": _kind(
        "log of the sum of z along axes",
        lambda z, axes: np.log(z.sum(axis=axes)),
        lipschitz=unbounded,
    ),
    "reduce_log_sum_exp": _kind("log of the sum of exp(z) along axes", _log_sum_exp),
    "reduce_prod": _kind(
        "product along axes",
        lambda z, axes: z.prod(axis=axes),
        lipschitz=unbounded,
    ),
    "arg_max": Kind(
        "place of the first largest along the one axis in axes",
        lambda z, a: _first_largest(z, tuple(a["axes"])),
        lipschitz=unbounded,
        componentwise=False,
        state_shape=_one_axis,
        attributes=("axes",),
    ),
}
