"""Broadcasting of activations and constants: the batch axis first, and never stretched."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_compress.frontend.expressions import mapped
from sim_compress.frontend.refusal import RefusalError
from sim_compress.frontend.rows import finite
from sim_compress.model import Affine, Shape, picking
from sim_compress.model.maps import Array


def stretched(x: Affine, shape: Shape) -> Affine:
    """An unweighted expression repeated along its axes of size 1 until it has a shape of the same rank.

    Raises:
        RefusalError: the shapes do not go together.
    """
    axes = [a for a, (own, wanted) in enumerate(zip(x.shape, shape, strict=False)) if own != wanted]
    if len(shape) != len(x.shape) or any(x.shape[a] != 1 for a in axes):
        raise RefusalError(f"stretches an activation of shape {x.shape} to {shape}")
    return mapped(x, *(picking(a, [0] * shape[a], 1) for a in axes)) if axes else x


def per_sample(constant: Array, rank: int) -> NDArray[np.float32]:
    """A constant of the graph without its batch axis, to go with activations of `rank` feature axes.

    Raises:
        RefusalError: it has a batch axis with more than one entry, or axes before it.
    """
    if constant.ndim > rank and constant.shape[: constant.ndim - rank] != (1,):
        raise RefusalError(
            f"combines an activation of {rank + 1} axes with a constant of shape {constant.shape}, "
            "which reaches over the batch axis"
        )
    return finite(constant[0] if constant.ndim > rank else constant)


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The common shape of what an elementwise node combines.

    Raises:
        RefusalError: the shapes do not go together.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise RefusalError(f"combines shapes {list(shapes)}, which do not broadcast") from error
