"""Along which axis of its state the channels of a block leave one by one.

A channel is one place along that axis. Where phi takes several tensors entry by entry, as the product of a
gated unit, it is the same place of every part: what gives one half leaves with what gives the other.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from sim_compress.model.channels import Numbered, Numbers, numbered
from sim_compress.model.implicit import ImplicitModel, StateBlock
from sim_compress.model.maps import Shape

Mask = NDArray[np.bool_]


def channelwise(block: StateBlock) -> bool:
    """Whether every channel of the state follows from the same row of the pre-activation alone."""
    kind = block.phi.kind
    return bool(block.affine.shape) and (
        kind.componentwise or (block.phi.name == "max_pool" and block.affine.row_axis == 0)
    )


def channel_axes(model: ImplicitModel) -> dict[str, int]:
    """Block name -> axis of its state; where phi mixes channels, or its parts do not fit, there is none."""
    axes: dict[str, int] = {}
    blocks = {b.name: b for b in model.blocks}
    for block in model.blocks:
        ends = None if _has_rows(block) else _ends(block, blocks, axes)
        if channelwise(block):
            axes[block.name] = _common_axis(block, ends)
        elif ends is not None and (axis := _entrywise_axis(block, ends)) is not None:
            axes[block.name] = axis
    return axes


def state_channels(block: StateBlock, axis: int) -> Numbered:
    """The state with the places along its channels' axis as numbers."""
    return Numbered(block.shape, axis, np.arange(block.shape[axis]))


def own_axis(axis: int, state: Shape, part: Shape) -> int | None:
    """A state's axis in a part that broadcasts to it; None where the part has it not, or of size 1."""
    own = axis - (len(state) - len(part))
    return own if own >= 0 and part[own] > 1 else None


def part_slices(parts: Sequence[Shape]) -> list[slice]:
    """Where each part stands in the flat pre-activation."""
    ends = list(accumulate(prod(p) for p in parts))
    return [slice(end - prod(p), end) for p, end in zip(parts, ends, strict=True)]


def entries(block: StateBlock, axis: int) -> Numbers:
    """The channel of every row of the pre-activation, -1 where it is in none.

    Rows are those of the block; of a phi of several parts they are the entries of the flat pre-activation.
    """
    if channelwise(block):
        return np.arange(block.affine.shape[axis])
    found = []
    for part in block.phi.attributes["parts"]:
        own = own_axis(axis, block.shape, part)
        places = np.full(part, -1) if own is None else np.indices(part)[own]
        found.append(places.ravel())
    return np.concatenate(found)


def row_axis(block: StateBlock, axis: int) -> int:
    """Axis of the pre-activation along which `entries` stand, from that of the state's channels."""
    return axis if channelwise(block) else block.affine.row_axis


def _has_rows(block: StateBlock) -> bool:
    return bool(block.affine.weighted) or block.affine.bias is not None


def _ends(
    block: StateBlock, blocks: Mapping[str, StateBlock], axes: Mapping[str, int]
) -> list[Numbered] | None:
    """The channels of its sources at the end of each term; None where those of one are not known."""
    ends = []
    for term in block.affine.terms:
        if term.source not in axes:
            return None
        stages = numbered(term.maps, state_channels(blocks[term.source], axes[term.source]))
        if stages is None:
            return None
        ends.append(stages[-1])
    return ends


def _common_axis(block: StateBlock, ends: Sequence[Numbered] | None) -> int:
    """A block's row axis; without rows of its own that of the channels it is made of."""
    found = {end.axis for end in ends or ()}
    return found.pop() if len(found) == 1 and block.phi.kind.componentwise else block.affine.row_axis


def _entrywise_axis(block: StateBlock, ends: Sequence[Numbered]) -> int | None:
    """The axis along which all parts have the channels of what they are made of."""
    if not block.phi.kind.entrywise:
        return None
    if not np.isfinite(block.phi(np.zeros((*block.affine.shape, 1), np.float32))).all():
        # Channels are tried without their weights before they leave.
        return None
    axes = range(len(block.shape))
    return next((a for a in axes if all(_fits(block, a, end.numbers) for end in ends)), None)


def _fits(block: StateBlock, axis: int, numbers: Numbers) -> bool:
    """Whether the channels of one term change along the axis alone, in every part that they are in."""
    parts = block.phi.attributes["parts"]
    for part, own_entries in zip(parts, part_slices(parts), strict=True):
        places, own = numbers[own_entries].reshape(part), own_axis(axis, block.shape, part)
        if own is not None and (places >= 0).any():
            along = np.moveaxis(places, own, 0).reshape(part[own], -1)
            if (along != along[:, :1]).any():
                return False
    return block.shape[axis] > 1
