"""phi of several tensors in torch: the parts of a flat pre-activation, entry by entry or as matrices."""

import math
from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from sim_compress.activations.kind import Shape
from sim_compress.runtime.autograd.single import Attributes, Function, truth


def _split(z: Tensor, parts: Sequence[Shape]) -> list[Tensor]:
    """Parts (samples, 1, ..., *part) of the same rank, so that samples stay on the first axis."""
    rank = max(len(part) for part in parts)
    pieces = z.split([math.prod(part) for part in parts], 1)
    return [
        piece.reshape(z.shape[0], *(1,) * (rank - len(part)), *part)
        for piece, part in zip(pieces, parts, strict=True)
    ]


def _of_parts(function: Callable[..., Tensor]) -> Function:
    return lambda z, a: function(*_split(z, a["parts"]))


def _compared(function: Callable[[Tensor, Tensor], Tensor]) -> Function:
    """A function whose values are true and false."""

    def apply(z: Tensor, a: Attributes) -> Tensor:
        one, other = _split(z, a["parts"])
        return truth(z, function(one, other))

    return apply


PHIS: dict[str, Function] = {
    "product": _of_parts(torch.mul),
    "quotient": _of_parts(torch.div),
    "raised": _of_parts(torch.pow),
    "remainder": _of_parts(torch.remainder),
    "truncated_remainder": _of_parts(torch.fmod),
    "maximum": _of_parts(lambda *parts: reduce(torch.maximum, parts)),
    "minimum": _of_parts(lambda *parts: reduce(torch.minimum, parts)),
    "where": _of_parts(lambda condition, chosen, other: torch.where(condition != 0, chosen, other)),
    "equal": _compared(torch.eq),
    "less": _compared(torch.lt),
    "less_or_equal": _compared(torch.le),
    "greater": _compared(torch.gt),
    "greater_or_equal": _compared(torch.ge),
    "and": _compared(torch.logical_and),
    "or": _compared(torch.logical_or),
    "xor": _compared(torch.logical_xor),
    "matmul": _of_parts(torch.matmul),
}
