"""Pre-activations of several tensors: one flat expression that holds its parts one after the other."""

from collections.abc import Sequence
from math import prod

import numpy as np

from sim_compress.activations import Activation
from sim_compress.frontend.registry import Activated, Call, RefusalError
from sim_compress.frontend.terms.expressions import mapped, summed
from sim_compress.model import Affine, LinearMap, Offset, Pad, Reshape, Shape, Slice, Term
from sim_compress.model.maps import Array


def several(call: Call, phi: str, positions: Sequence[int]) -> Activated:
    """A block whose phi takes some inputs of a node as its parts; numpy's rules broadcast between them.

    Raises:
        RefusalError: all are constants.
    """
    return joined(phi, parts_of(call, positions))


def joined(phi: str, parts: Sequence[Affine]) -> Activated:
    """A block of several unweighted expressions."""
    return Activated(flat(parts), Activation(phi, {"parts": tuple(p.shape for p in parts)}))


def flat(parts: Sequence[Affine]) -> Affine:
    """Unweighted expressions one after the other, each row-major."""
    total, start, placed = sum(prod(p.shape) for p in parts), 0, []
    for part in parts:
        size = prod(part.shape)
        placed.append(mapped(part, Reshape((size,)), Pad((start,), (total - start - size,))))
        start += size
    return summed(placed)


def parts_of(call: Call, positions: Sequence[int]) -> list[Affine]:
    """Inputs of a node as unweighted expressions; constants become expressions too.

    Raises:
        RefusalError: all are constants.
    """
    known = {i: call.unweighted(i) for i in positions if not call.is_constant(i)}
    if not known:
        raise RefusalError("works on constants only")
    carrier = min(known.values(), key=lambda x: len(x.terms[0].maps))
    return [known[i] if i in known else constant_part(carrier, call.constant(i)) for i in positions]


def constant_part(carrier: Affine, values: Array) -> Affine:
    """An expression with the given values whatever its source: none of it is read, padding takes its place.

    Raises:
        RefusalError: a value is not a number.
    """
    if np.isnan(values).any():
        raise RefusalError("one of its constants is not a number")
    # No finite float32 lies outside these; an infinity would have no place in an artifact.
    limits = np.finfo(np.float32)
    bounded = np.clip(values.astype(np.float64), limits.min, limits.max).astype(np.float32)
    term = carrier.terms[0]
    maps = (*term.maps, *_zeros(prod(carrier.shape), bounded.shape), Offset(bounded))
    return Affine(bounded.shape, (Term(term.source, maps),))


def _zeros(size: int, shape: Shape) -> tuple[LinearMap, ...]:
    """From any expression of some size to zeros of a shape."""
    count = prod(shape)
    return (
        Reshape((size,)),
        Slice((0,), (1,), (1,)),
        Pad((count,), (0,)),
        Slice((0,), (count,), (1,)),
        Reshape(shape),
    )
