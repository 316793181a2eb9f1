"""Sums of zero-padded terms that lie side by side: concatenations, and parts of a phi of several tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod

import numpy as np
from numpy.typing import NDArray

from sim_compress.export.graph import Graph
from sim_compress.export.maps import chain
from sim_compress.model import Affine, LinearMap, Offset, Pad, Reshape, Shape, chain_shape

Interval = tuple[int, int]


@dataclass(frozen=True)
class _Placed:
    """A term without its padding and the constant behind it: entries start..stop of one axis."""

    source: str
    maps: tuple[LinearMap, ...]
    interval: Interval


def concatenated(
    graph: Graph, affine: Affine, tensors: Mapping[str, str], shapes: Mapping[str, Shape]
) -> str | None:
    """One Concat for a sum whose terms fill one axis side by side; None for any other sum."""
    found = _placed(affine, shapes)
    if found is None:
        return None
    axis, placed, offset = found
    intervals = sorted({p.interval for p in placed})
    starts, stops = [start for start, _ in intervals], [stop for _, stop in intervals]
    if [*starts, affine.shape[axis]] != [0, *stops]:
        return None
    parts = [_total(graph, [p for p in placed if p.interval == i], (), tensors, shapes) for i in intervals]
    whole = graph.node("Concat", parts, axis=axis + 1)
    return graph.node("Add", [whole, graph.reals(offset, "offset")]) if offset.any() else whole


def pieces(
    graph: Graph,
    affine: Affine,
    parts: Sequence[Shape],
    tensors: Mapping[str, str],
    shapes: Mapping[str, Shape],
) -> list[str] | None:
    """The tensors (N, *part) of a flat pre-activation, (1, *part) for constants.

    None where a term does not fill exactly one part.
    """
    found = _placed(affine, shapes)
    if found is None:
        return None
    _, placed, offset = found
    stops = list(accumulate(prod(part) for part in parts))
    intervals = [(stop - prod(part), stop) for part, stop in zip(parts, stops, strict=True)]
    if not {p.interval for p in placed} <= set(intervals):
        return None
    return [
        _part(graph, [p for p in placed if p.interval == i], part, offset[slice(*i)], tensors, shapes)
        for i, part in zip(intervals, parts, strict=True)
    ]


def _part(
    graph: Graph,
    placed: Sequence[_Placed],
    part: Shape,
    offset: NDArray[np.float64],
    tensors: Mapping[str, str],
    shapes: Mapping[str, Shape],
) -> str:
    if not placed:
        return graph.reals(offset.reshape(1, *part))
    total = _total(graph, placed, (Reshape(part),), tensors, shapes)
    return graph.node("Add", [total, graph.reals(offset.reshape(part), "offset")]) if offset.any() else total


def _total(
    graph: Graph,
    placed: Sequence[_Placed],
    behind: tuple[LinearMap, ...],
    tensors: Mapping[str, str],
    shapes: Mapping[str, Shape],
) -> str:
    """The sum of terms that fill the same entries."""
    first, *rest = (chain(graph, tensors[p.source], (*p.maps, *behind), shapes[p.source]) for p in placed)
    for tensor in rest:
        first = graph.node("Add", [first, tensor])
    return first


def _placed(
    affine: Affine, shapes: Mapping[str, Shape]
) -> tuple[int, list[_Placed], NDArray[np.float64]] | None:
    """The one axis along which all terms are padded, where each lies, and the constant behind them."""
    if affine.weighted or affine.bias is not None:
        return None
    axes: set[int] = set()
    placed = []
    offset = np.zeros(affine.shape)
    for term in affine.terms:
        maps = list(term.maps)
        while maps and isinstance(last := maps[-1], Offset):
            offset += last.offset
            maps.pop()
        if not maps or not isinstance(pad := maps.pop(), Pad):
            return None
        moved = [a for a, sizes in enumerate(zip(pad.before, pad.after, strict=True)) if any(sizes)]
        if len(moved) != 1:
            return None
        axes.add(moved[0])
        start = pad.before[moved[0]]
        size = chain_shape(maps, shapes[term.source])[moved[0]]
        placed.append(_Placed(term.source, tuple(maps), (start, start + size)))
    return (axes.pop(), placed, offset) if len(axes) == 1 else None
