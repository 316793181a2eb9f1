"""A model without some channels of its states: their rows and columns leave, and every map is cut to size.

Outputs stay the same where no row reads what leaves.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.model.channel_axes import Mask, channel_axes, entries, own_axis, row_axis, state_channels
from sim_compress.model.channels import Numbered, numbered
from sim_compress.model.implicit import Affine, ImplicitModel, StateBlock, Term
from sim_compress.model.maps import (
    AlongAxis,
    Array,
    LinearMap,
    Offset,
    Pad,
    Reshape,
    Scale,
    Shape,
    Slice,
    picking,
)
from sim_compress.model.sharing import still_shared


def narrowed(model: ImplicitModel, kept: Mapping[str, Mask]) -> ImplicitModel:
    """The model with the kept channels of some blocks alone.

    Args:
        model: rows give a channel nothing that another keeps: weights on columns that leave are zero.
        kept: block name -> which of its channels stay, the places along its axis in `channel_axes`, one at
            least.

    Raises:
        InputError: what leaves is still read, or a map mixes what leaves with what stays.
    """
    cut = _Cut(model, kept)
    blocks = tuple(replace(b, affine=_affine(b.name, b.affine, cut), phi=_phi(b, cut)) for b in model.blocks)
    outputs = tuple(replace(o, affine=_affine(o.name, o.affine, cut)) for o in model.outputs)
    return still_shared(ImplicitModel(model.inputs, blocks, outputs), model.owners)


class _Cut:
    """What stays of every block.

    Attributes:
        axes: block name -> axis of its channels.
        channels: block name -> which of them stay; blocks that stay whole are left out.
        rows: the same for the rows of its pre-activation.
    """

    def __init__(self, model: ImplicitModel, kept: Mapping[str, Mask]) -> None:
        self.axes = channel_axes(model)
        self.blocks = {b.name: b for b in model.blocks}
        self.channels = {name: keep for name, keep in kept.items() if not keep.all()}
        if mixed := next((name for name in self.channels if name not in self.axes), None):
            raise InputError(f"block {mixed!r}: its channels cannot leave one by one")
        self.rows: dict[str, Mask] = {}
        for name, keep in self.channels.items():
            places = entries(self.blocks[name], self.axes[name])
            self.rows[name] = (places < 0) | keep[np.maximum(places, 0)]


def taken(array: Array, rank: int, axis: int, keep: Mask) -> Array:
    """A constant that broadcasts to a shape of that rank, cut to the places kept along one of its axes."""
    own = axis - (rank - array.ndim)
    if own < 0 or array.shape[own] == 1:
        return array
    return np.compress(keep, array, axis=own)


def _phi(block: StateBlock, cut: _Cut) -> Activation:
    """phi with those of its constants that differ between channels cut, and its parts with fewer channels."""
    keep = cut.channels.get(block.name)
    if keep is None:
        return block.phi
    axis, rank = cut.axes[block.name], len(block.affine.shape)
    attributes: dict[str, Any] = dict(block.phi.attributes)
    if block.phi.kind.entrywise:
        own = [own_axis(axis, block.shape, part) for part in attributes["parts"]]
        attributes["parts"] = tuple(
            part if a is None else _set(part, a, int(keep.sum()))
            for part, a in zip(attributes["parts"], own, strict=True)
        )
    elif block.phi.kind.componentwise:
        for name, value in attributes.items():
            if np.ndim(value):
                attributes[name] = taken(np.asarray(value), rank, axis, keep)
    return replace(block.phi, attributes=attributes)


def _affine(name: str, affine: Affine, cut: _Cut) -> Affine:
    keep = cut.rows.get(name, np.ones(affine.rows, bool))
    shape, axis = list(affine.shape), affine.row_axis
    if name in cut.rows:
        axis = row_axis(cut.blocks[name], cut.axes[name])
        shape[axis] = int(keep.sum())
    bias = None if affine.bias is None else affine.bias[keep]
    terms = [_cut_term(name, term, keep, cut) for term in affine.terms]
    return replace(affine, shape=tuple(shape), terms=tuple(terms), bias=bias, row_axis=axis)


def _cut_term(name: str, term: Term, keep: Mask, cut: _Cut) -> Term:
    if term.source not in cut.channels and (term.weight is not None or keep.all()):
        return _with_rows(term, keep)
    block, axis = cut.blocks.get(term.source), cut.axes.get(term.source)
    start = None if block is None or axis is None else state_channels(block, axis)
    stages = None if start is None else numbered(term.maps, start)
    if start is None or stages is None:
        raise InputError(f"block {name!r}: the channels of {term.source!r} cannot leave one by one")
    return _term(name, term, stages, cut.channels.get(term.source, start.numbers >= 0), keep)


def _with_rows(term: Term, keep: Mask) -> Term:
    """A term whose source stays whole."""
    if term.weight is None or keep.all():
        return term
    return replace(term, weight=sparse.csr_array(term.weight[np.flatnonzero(keep)]))


def _term(name: str, term: Term, stages: tuple[Numbered, ...], source: Mask, rows: Mask) -> Term:
    """A term with the kept channels of its source and the kept rows of its block."""
    end = stages[-1]
    last = rows if term.weight is None else _stays(end.numbers, source)
    numbers = set(end.numbers[last & (end.numbers < 0)])
    masks = [
        _stays(s.numbers, source) & ((s.numbers >= 0) | np.isin(s.numbers, list(numbers))) for s in stages
    ]
    if not np.array_equal(masks[-1], last):
        raise InputError(f"block {name!r} keeps other channels than {term.source!r}, which it adds")
    maps: list[LinearMap] = []
    for step, tensors, cuts in zip(term.maps, pairwise(stages), pairwise(masks), strict=True):
        maps += _map(step, *tensors, *cuts)
    if term.weight is None:
        return replace(term, maps=tuple(maps))
    if term.weight[:, np.flatnonzero(~last)].count_nonzero():
        raise InputError(f"block {name!r} still reads channels of {term.source!r} that are to leave")
    weight = sparse.csr_array(term.weight[np.flatnonzero(rows)][:, np.flatnonzero(last)])
    # Groups of a depthwise convolution leave with their channel, those of others stay.
    left = term.groups if rows.all() else round(term.groups * rows.mean())
    return replace(term, maps=tuple(maps), weight=weight, groups=left if term.groups > 1 else 1)


def _stays(numbers: NDArray[np.int64], source: Mask) -> Mask:
    """Places of kept channels and those that no channel has."""
    return np.where(numbers < 0, True, source[np.maximum(numbers, 0)])


def _map(step: LinearMap, x: Numbered, y: Numbered, keep: Mask, left: Mask) -> list[LinearMap]:
    """One map between the kept places of what goes in and of what comes out."""
    axis, rank = x.axis, len(x.shape)
    match step:
        case Reshape(shape=shape):
            return [Reshape(_resized(shape, y.axis, left))]
        case Scale(factor=factor):
            return [Scale(taken(factor, rank, axis, keep))]
        case Offset(offset=offset):
            return [Offset(taken(offset, rank, axis, keep))]
        case Pad(before=before, after=after):
            first, behind = before[axis], len(left) - after[axis]
            sizes = int(left[:first].sum()), int(left[behind:].sum())
            return [Pad(_set(before, axis, sizes[0]), _set(after, axis, sizes[1]))]
        case Slice(starts=starts, counts=counts, steps=steps):
            places = starts[axis] + steps[axis] * np.arange(counts[axis])
            others = Slice(_set(starts, axis, 0), _set(counts, axis, int(keep.sum())), _set(steps, axis, 1))
            return [others, *_picked(places[left], axis, keep)]
        case AlongAxis() if step.axis == axis:
            assert step.picks is not None
            return _picked(step.picks[left], axis, keep)
    return [step]


def _picked(places: NDArray[np.int64], axis: int, keep: Mask) -> list[LinearMap]:
    """The map from the kept places to some of them; nothing where that is all of them in order."""
    rank = np.cumsum(keep) - 1
    found = np.where(places < 0, -1, rank[np.maximum(places, 0)])
    if np.array_equal(found, np.arange(keep.sum())):
        return []
    return [picking(axis, found, int(keep.sum()))]


def _resized(shape: Shape, axis: int, left: Mask) -> Shape:
    return _set(shape, axis, int(left.sum()))


def _set(sizes: Shape, axis: int, size: int) -> Shape:
    return (*sizes[:axis], size, *sizes[axis + 1 :])
