"""Broadcasting of activations and constants."""

from collections.abc import Sequence

import numpy as np

from sim_compress.frontend.refusal import RefusalError
from sim_compress.frontend.terms.expressions import mapped
from sim_compress.model import Affine, Reshape, Shape, picking


def stretched(x: Affine, shape: Shape) -> Affine:
    """An unweighted expression repeated along axes that it lacks or has with size 1 until it has a shape.

    Raises:
        RefusalError: the shapes do not go together.
    """
    own = (1,) * (len(shape) - len(x.shape)) + x.shape
    axes = [a for a, (before, wanted) in enumerate(zip(own, shape, strict=False)) if before != wanted]
    if len(shape) != len(own) or any(own[a] != 1 for a in axes):
        raise RefusalError(f"stretches an activation of shape {x.shape} to {shape}")
    x = mapped(x, Reshape(own)) if own != x.shape else x
    return mapped(x, *(picking(a, [0] * shape[a], 1) for a in axes)) if axes else x


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The common shape of what an elementwise node combines.

    Raises:
        RefusalError: the shapes do not go together.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise RefusalError(f"combines shapes {list(shapes)}, which do not broadcast") from error
