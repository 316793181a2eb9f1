"""Normalisations of groups of pre-activations; learned scales and shifts are maps behind them."""

import math
from collections.abc import Callable

import numpy as np

from sim_compress.activations.axes import check_axes, group_size
from sim_compress.activations.kind import Array, Attributes, Kind, Shape, constant, unbounded


def _kind(
    formula: str,
    function: Callable[[Array, tuple[int, ...], Attributes], Array],
    lipschitz: Callable[[Attributes, Shape], float],
    attributes: tuple[str, ...] = (),
) -> Kind:
    return Kind(
        formula,
        lambda z, a: function(z, tuple(a["axes"]), a),
        lipschitz=lipschitz,
        componentwise=False,
        state_shape=check_axes,
        attributes=("axes", *attributes),
    )


def _softmax(z: Array, axes: tuple[int, ...], _: Attributes) -> Array:
    powers = np.exp(z - z.max(axis=axes, keepdims=True))
    return powers / powers.sum(axis=axes, keepdims=True)


def _log_softmax(z: Array, axes: tuple[int, ...], _: Attributes) -> Array:
    centred = z - z.max(axis=axes, keepdims=True)
    return centred - np.log(np.exp(centred).sum(axis=axes, keepdims=True))


def _hardmax(z: Array, axes: tuple[int, ...], _: Attributes) -> Array:
    moved = np.moveaxis(z, axes, range(len(axes)))
    flat = moved.reshape(math.prod(moved.shape[: len(axes)]), *moved.shape[len(axes) :])
    first = flat.argmax(axis=0)
    chosen = np.arange(len(flat)).reshape(-1, *(1,) * (flat.ndim - 1)) == first
    return np.moveaxis(chosen.astype(z.dtype).reshape(moved.shape), range(len(axes)), axes)


def _layer_norm(z: Array, axes: tuple[int, ...], a: Attributes) -> Array:
    centred = z - z.mean(axis=axes, keepdims=True)
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return centred / np.sqrt(variance + np.asarray(a["epsilon"], z.dtype))


def _rms_norm(z: Array, axes: tuple[int, ...], a: Attributes) -> Array:
    return z / np.sqrt((z * z).mean(axis=axes, keepdims=True) + np.asarray(a["epsilon"], z.dtype))


def _norm_slope(of_means: float) -> Callable[[Attributes, Shape], float]:
    """Row sums of the Jacobian (I - 11'/n - xx'/n) / s, where s^2 >= epsilon, x_i^2 <= n, mean |x| <= 1."""

    def slope(a: Attributes, shape: Shape) -> float:
        root = math.sqrt(group_size(shape, a))
        return (1 + of_means + root) / math.sqrt(a["epsilon"]) if a["epsilon"] > 0 else math.inf

    return slope


def _lp_norm(z: Array, axes: tuple[int, ...], a: Attributes) -> Array:
    if a["p"] == 1:
        length = np.abs(z).sum(axis=axes, keepdims=True)
    else:
        length = np.sqrt((z * z).sum(axis=axes, keepdims=True))
    # A group of zeros has no direction and stays as it is.
    return z / np.maximum(np.where(length == 0, 1, length), np.asarray(a["epsilon"], z.dtype))


def _lp_shape(shape: Shape, a: Attributes) -> Shape:
    if a["p"] not in (1, 2):
        raise ValueError(f"expected p = 1 or 2, found {a['p']}")
    return check_axes(shape, a)


def _lrn(z: Array, a: Attributes) -> Array:
    size = int(a["size"])
    before = (size - 1) // 2
    padding = [(before, size - 1 - before), *[(0, 0)] * (z.ndim - 1)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(z * z, padding), size, axis=0)
    alpha, beta, bias = (np.asarray(a[key], z.dtype) for key in ("alpha", "beta", "bias"))
    return z / (bias + alpha / size * windows.sum(axis=-1)) ** beta


def _lrn_shape(shape: Shape, a: Attributes) -> Shape:
    if not shape or not 1 <= a["size"] <= 2 * shape[0] + 1:
        raise ValueError(f"a sum over {a['size']} channels of {shape}")
    return shape


KINDS: dict[str, Kind] = {
    # Row i of the Jacobian is p_i (e_i - p): its entries' sizes sum to 2 p_i (1 - p_i).
    "softmax": _kind("exp(z) over its sum along axes", _softmax, constant(0.5)),
    "log_softmax": _kind("log of softmax along axes", _log_softmax, constant(2.0)),
    "hardmax": _kind("1 at the first largest along axes, else 0", _hardmax, unbounded),
    "layer_norm": _kind(
        "(z - m) / sqrt(v + epsilon), m and v the mean and variance along axes",
        _layer_norm,
        _norm_slope(1.0),
        ("epsilon",),
    ),
    "rms_norm": _kind(
        "z / sqrt(mean of z^2 along axes + epsilon)", _rms_norm, _norm_slope(0.0), ("epsilon",)
    ),
    "lp_norm": Kind(
        "z / max(l, epsilon), l the p-norm along axes, 1 where that is 0; p is 1 or 2",
        lambda z, a: _lp_norm(z, tuple(a["axes"]), a),
        lipschitz=unbounded,
        componentwise=False,
        state_shape=_lp_shape,
        attributes=("axes", "p", "epsilon"),
    ),
    "lrn": Kind(
        "z / (bias + alpha/size s)^beta, s the sum of z^2 over the size channels (axis 0) around its own, "
        "(size - 1)/2 of them, rounded down, before it",
        _lrn,
        lipschitz=unbounded,
        componentwise=False,
        state_shape=_lrn_shape,
        attributes=("size", "alpha", "beta", "bias"),
    ),
}
