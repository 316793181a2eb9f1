"""Gradients of phi of groups of pre-activations: reductions, normalisations and pooling."""

from collections.abc import Callable

import numpy as np

from sim_compress.activations.kind import Attributes
from sim_compress.activations.pooling import windows_of
from sim_compress.model.maps import Array
from sim_compress.runtime.reverse.rule import Rule, no_gradient

# (z, x, gradient of x, axes); x and its gradient keep the axes that were reduced.
Along = Callable[[Array, Array, Array, tuple[int, ...]], Array]


def _reduced(rule: Along) -> Rule:
    """Of a phi whose axes leave."""

    def pull_back(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
        axes = tuple(a["axes"])
        return rule(z, np.expand_dims(x, axes), np.expand_dims(dx, axes), axes)

    return pull_back


def _kept(rule: Along) -> Rule:
    """Of a phi whose axes stay."""
    return lambda z, x, dx, a: rule(z, x, dx, tuple(a["axes"]))


def _sum(array: Array, axes: tuple[int, ...]) -> Array:
    return array.sum(axis=axes, keepdims=True)


def _mean(array: Array, axes: tuple[int, ...]) -> Array:
    return array.mean(axis=axes, keepdims=True)


def _extreme(z: Array, x: Array, dx: Array, axes: tuple[int, ...]) -> Array:
    """To the largest or smallest, in equal parts where there are several."""
    chosen = z == x
    return dx * chosen / _sum(chosen, axes)


def _product(z: Array, _x: Array, dx: Array, axes: tuple[int, ...]) -> Array:
    """Times the product of the others, which is no quotient where an entry is zero."""
    zero = z == 0
    count = _sum(zero, axes)
    others = np.prod(np.where(zero, 1, z), axis=axes, keepdims=True)
    return dx * np.where(zero, np.where(count == 1, others, 0), np.where(count == 0, others / z, 0))


def _layer_norm(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
    axes = tuple(a["axes"])
    centred = z - _mean(z, axes)
    deviation = np.sqrt(_mean(centred * centred, axes) + a["epsilon"])
    return (dx - _mean(dx, axes) - x * _mean(dx * x, axes)) / deviation


def _rms_norm(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
    axes = tuple(a["axes"])
    return (dx - x * _mean(dx * x, axes)) / np.sqrt(_mean(z * z, axes) + a["epsilon"])


def _lp_norm(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
    axes = tuple(a["axes"])
    length = _sum(np.abs(z), axes) if a["p"] == 1 else np.sqrt(_sum(z * z, axes))
    slope = np.sign(z) if a["p"] == 1 else x
    # A length below epsilon, or of zero, divides as a constant.
    moves = length >= np.where(length == 0, np.inf, a["epsilon"])
    divisor = np.maximum(np.where(length == 0, 1, length), a["epsilon"])
    return (dx - np.where(moves, slope * _sum(dx * x, axes), 0)) / divisor


def _lrn(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
    size = int(a["size"])
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    scale = a["alpha"] / size
    sums = a["bias"] + scale * _neighbours(z * z, before, after)
    # Each entry is in the windows of those that it is a neighbour of: the other way round.
    through = _neighbours(dx * x / sums, after, before)
    return dx * sums ** -a["beta"] - 2 * scale * a["beta"] * z * through


def _neighbours(values: Array, before: int, after: int) -> Array:
    """Sums of every channel with so many before and after it."""
    padded = np.pad(values, [(before, after), *[(0, 0)] * (values.ndim - 1)])
    return np.lib.stride_tricks.sliding_window_view(padded, before + after + 1, axis=0).sum(axis=-1)


def _max_pool(z: Array, x: Array, dx: Array, a: Attributes) -> Array:
    """To the first largest of every window."""
    pads = [(0, 0), *zip(a["pads_begin"], a["pads_end"], strict=True), (0, 0)]
    padded = np.pad(z, pads, constant_values=-np.inf)
    found, left = np.zeros(padded.shape, np.float32), np.array(dx)
    for window in windows_of(x.shape[1:-1], a):
        place = (slice(None), *window)
        taken = np.where(padded[place] == x, left, 0)
        found[place] += taken
        left -= taken
    inside = (slice(b, b + size) for (b, _), size in zip(pads, z.shape, strict=True))
    return found[tuple(inside)]


RULES: dict[str, Rule] = {
    "max_pool": _max_pool,
    "reduce_max": _reduced(_extreme),
    "reduce_min": _reduced(_extreme),
    "reduce_l1": _reduced(lambda z, _x, dx, _: dx * np.sign(z)),
    "reduce_l2": _reduced(lambda z, x, dx, _: dx * z / np.where(x == 0, 1, x)),
    "reduce_sum_square": _reduced(lambda z, _x, dx, _: dx * 2 * z),
    "reduce_log_sum": _reduced(lambda z, x, dx, _: np.broadcast_to(dx / np.exp(x), z.shape)),
    "reduce_log_sum_exp": _reduced(lambda z, x, dx, _: dx * np.exp(z - x)),
    "reduce_prod": _reduced(_product),
    "arg_max": no_gradient,
    "hardmax": no_gradient,
    "softmax": _kept(lambda _z, x, dx, axes: x * (dx - _sum(dx * x, axes))),
    "log_softmax": _kept(lambda _z, x, dx, axes: dx - np.exp(x) * _sum(dx, axes)),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "lp_norm": _lp_norm,
    "lrn": _lrn,
}
