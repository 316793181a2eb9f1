"""Phi of several tensors: the flat pre-activation cut into its parts."""

import math
from collections.abc import Sequence
from itertools import accumulate

from sim_compress.activations.kind import Array, Attributes, Shape


def split(z: Array, parts: Sequence[Shape]) -> list[Array]:
    """The parts of a flat pre-activation.

    Args:
        z: (sum of the parts' sizes, samples), the parts one after the other, each row-major.
        parts: the shape of each.

    Returns:
        Arrays (*part, samples), views of z where its memory allows.
    """
    sizes = [math.prod(part) for part in parts]
    return [
        z[stop - size : stop].reshape(*part, z.shape[-1])
        for part, size, stop in zip(parts, sizes, accumulate(sizes), strict=True)
    ]


def check_parts(shape: Shape, a: Attributes, count: int | None) -> Sequence[Shape]:
    """The parts of a phi that takes `count` of them, None for any number.

    ValueError where a pre-activation of the given shape does not hold them.
    """
    parts = a["parts"]
    if not parts or count not in (None, len(parts)):
        raise ValueError(f"expected {count or 'some'} parts, found {len(parts)}")
    if shape != (sum(math.prod(part) for part in parts),):
        raise ValueError(f"a pre-activation of shape {shape} does not hold the parts {parts}")
    return parts
