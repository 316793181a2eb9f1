"""phi of groups of pre-activations in torch: pooling, reductions and normalisations."""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional

from sim_compress.runtime.autograd.single import Attributes, Function


def _along(function: Callable[[Tensor, list[int]], Tensor]) -> Function:
    """A function along the axes of the attributes, counted behind the samples."""
    return lambda z, a: function(z, _axes(a))


def _axes(a: Attributes) -> list[int]:
    return [axis + 1 for axis in a["axes"]]


def _max_pool(z: Tensor, a: Attributes) -> Tensor:
    """The maximum over a window is that along one axis after the other."""
    sizes = [a[key] for key in ("kernel", "strides", "dilations", "pads_begin", "pads_end")]
    for axis, (kernel, stride, dilation, begin, end) in enumerate(zip(*sizes, strict=True), 2):
        lines = functional.pad(z.movedim(axis, -1), (begin, end), value=-torch.inf)
        flat = lines.flatten(0, -2).unsqueeze(1)
        pooled = functional.max_pool1d(flat, kernel, stride, dilation=dilation)
        z = pooled.reshape(*lines.shape[:-1], pooled.shape[-1]).movedim(-1, axis)
    return z


def _product(z: Tensor, axes: list[int]) -> Tensor:
    return reduce(lambda part, axis: part.prod(axis), reversed(axes), z)


def _arg_max(z: Tensor, axes: list[int]) -> Tensor:
    (axis,) = axes
    return z.argmax(axis).to(z.dtype)


def _hardmax(z: Tensor, axes: list[int]) -> Tensor:
    last = list(range(z.ndim - len(axes), z.ndim))
    moved = z.movedim(axes, last)
    flat = moved.flatten(z.ndim - len(axes))
    chosen = functional.one_hot(flat.argmax(-1), flat.shape[-1]).to(z.dtype)
    return chosen.reshape(moved.shape).movedim(last, axes)


def _layer_norm(z: Tensor, a: Attributes) -> Tensor:
    centred = z - z.mean(_axes(a), keepdim=True)
    return centred / torch.sqrt(centred.square().mean(_axes(a), keepdim=True) + a["epsilon"])


def _rms_norm(z: Tensor, a: Attributes) -> Tensor:
    return z / torch.sqrt(z.square().mean(_axes(a), keepdim=True) + a["epsilon"])


def _lp_norm(z: Tensor, a: Attributes) -> Tensor:
    length = torch.linalg.vector_norm(z, a["p"], _axes(a), keepdim=True)
    return z / torch.where(length == 0, torch.ones_like(length), length).clamp(min=a["epsilon"])


def _lrn(z: Tensor, a: Attributes) -> Tensor:
    size = int(a["size"])
    before = (size - 1) // 2
    squares = functional.pad(z.square().movedim(1, -1), (before, size - 1 - before))
    sums = squares.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return z / (a["bias"] + a["alpha"] / size * sums) ** a["beta"]


PHIS: dict[str, Function] = {
    "max_pool": _max_pool,
    "reduce_max": _along(lambda z, axes: z.amax(axes)),
    "reduce_min": _along(lambda z, axes: z.amin(axes)),
    "reduce_l1": _along(lambda z, axes: z.abs().sum(axes)),
    "reduce_l2": _along(lambda z, axes: torch.linalg.vector_norm(z, 2, axes)),
    "reduce_sum_square": _along(lambda z, axes: z.square().sum(axes)),
    "reduce_log_sum": _along(lambda z, axes: z.sum(axes).log()),
    "reduce_log_sum_exp": _along(torch.logsumexp),
    "reduce_prod": _along(_product),
    "arg_max": _along(_arg_max),
    "softmax": _along(lambda z, axes: torch.exp(z - torch.logsumexp(z, axes, keepdim=True))),
    "log_softmax": _along(lambda z, axes: z - torch.logsumexp(z, axes, keepdim=True)),
    "hardmax": _along(_hardmax),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "lp_norm": _lp_norm,
    "lrn": _lrn,
}
