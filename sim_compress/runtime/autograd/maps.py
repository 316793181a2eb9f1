"""Fixed maps in torch: one function for every kind of `model.MAPS`, samples on the first axis."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim_compress.errors import DataError, UnsupportedError
from sim_compress.model import (
    AlongAxis,
    LinearMap,
    Lookup,
    Offset,
    Pad,
    Patches,
    Reshape,
    Scale,
    Slice,
    Sum,
    Transpose,
)

Constants = Mapping[str, Tensor]


class FixedMap(nn.Module):
    """One map; its arrays are buffers.

    Raises:
        UnsupportedError: the map has no function here.
    """

    def __init__(self, step: LinearMap) -> None:
        super().__init__()
        if type(step) not in FUNCTIONS:
            raise UnsupportedError(
                f"map {type(step).__name__!r} has no torch function: use a numpy kernel for this model"
            )
        self.step: Any = step
        for name, value in _arrays(step).items():
            self.register_buffer(name, _tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        """The mapped x, both (samples, *shape)."""
        return FUNCTIONS[type(self.step)](self.step, x, dict(self.named_buffers()))


def _arrays(step: Any) -> dict[str, np.ndarray]:
    """The constants of a map by name; a sparse matrix as what makes it up."""
    values = {f.name: getattr(step, f.name) for f in fields(step)}
    if isinstance(step, Lookup):
        values["table"] = step.dense_rows()
    if isinstance(step, AlongAxis):
        found = step.matrix.tocoo()
        values |= {
            "row": found.row.astype(np.int64),
            "column": found.col.astype(np.int64),
            "data": found.data,
        }
    arrays = (np.ndarray, np.generic)
    return {name: np.asarray(value) for name, value in values.items() if isinstance(value, arrays)}


def _tensor(value: np.ndarray) -> Tensor:
    """A constant as the numpy kernel sees it: real numbers in float32."""
    return torch.tensor(value, dtype=torch.float32 if value.dtype.kind == "f" else None)


def _slice(step: Slice, x: Tensor, _: Constants) -> Tensor:
    for axis, (start, count, by) in enumerate(zip(step.starts, step.counts, step.steps, strict=True), 1):
        first, last = sorted((start, start + (count - 1) * by))
        picked = (slice(None),) * axis + (slice(first, last + 1, abs(by)),)
        # torch has no negative steps.
        x = x[picked].flip(axis) if by < 0 else x[picked]
    return x


def _along_axis(step: AlongAxis, x: Tensor, constants: Constants) -> Tensor:
    picked = x.movedim(step.axis + 1, -1).index_select(-1, constants["column"])
    rows = len(step.matrix.indptr) - 1
    if step.picks is not None:
        out = picked.new_zeros(*picked.shape[:-1], rows).index_copy(-1, constants["row"], picked)
    else:
        weighted = picked * constants["data"]
        out = weighted.new_zeros(*picked.shape[:-1], rows).index_add(-1, constants["row"], weighted)
    return out.movedim(-1, step.axis + 1)


def padding(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """Sizes for torch, which wants the last axis first."""
    pairs = zip(reversed(before), reversed(after), strict=True)
    return [size for pair in pairs for size in pair]


def _patches(step: Patches, x: Tensor, _: Constants) -> Tensor:
    x = functional.pad(x, padding(step.before, step.after))
    rank = len(step.kernel)
    for axis in range(rank):
        span = (step.kernel[axis] - 1) * step.dilations[axis] + 1
        x = x.unfold(2 + axis, span, step.strides[axis])[..., :: step.dilations[axis]]
    samples, channels, *out = x.shape[: 2 + rank]
    kernel_first = x.permute(0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    return kernel_first.reshape(samples, channels * int(np.prod(step.kernel)), *out)


def looked_up(table: Tensor, x: Tensor) -> Tensor:
    """Rows of a table (V, d) for ids (samples, *shape).

    Raises:
        DataError: an id has no row.
    """
    ids = x.round().long()
    if ((ids < -len(table)) | (ids >= len(table))).any():
        raise DataError(f"an id has no row in a table of {len(table)}: expected 0..{len(table) - 1}")
    return table[ids]


FUNCTIONS: dict[type, Callable[[Any, Tensor, Constants], Tensor]] = {
    Reshape: lambda step, x, _: x.reshape(x.shape[0], *step.shape),
    Transpose: lambda step, x, _: x.permute(0, *(a + 1 for a in step.axes)),
    Slice: _slice,
    Pad: lambda step, x, _: functional.pad(x, padding(step.before, step.after)),
    Patches: _patches,
    Sum: lambda step, x, _: x.sum(dim=[a + 1 for a in step.axes]),
    Scale: lambda _, x, constants: x * constants["factor"],
    AlongAxis: _along_axis,
    Lookup: lambda _, x, constants: looked_up(constants["table"], x),
    Offset: lambda _, x, constants: x + constants["offset"],
}
