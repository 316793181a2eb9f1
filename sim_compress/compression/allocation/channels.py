"""Channels that can leave a network: which of them only leave together, and who reads them.

A channel is one place along an axis of a state, with the row that gives it. It leaves when no row reads it
any more. Where a state is added to another one, as in a residual stream, or multiplied with it, as in a gated
unit, the channel leaves both or none.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from sim_compress.model import Affine, ImplicitModel, Term, weight_shape
from sim_compress.model.channel_axes import channel_axes, entries, row_axis, state_channels
from sim_compress.model.channels import Numbered, numbered

Numbers = NDArray[np.int64]
# The number of what cannot leave.
STAYS = -1


@dataclass(frozen=True, eq=False)
class Channels:
    """Sets of channels that leave together, by number from 0.

    Attributes:
        count: how many sets.
        rows: block or output name -> the set of each channel, which is a row where the block has weights;
            STAYS where it cannot leave.
        columns: block or output name -> for each weighted term the set that each column reads.
        needed: sets of which one at least must stay, as something is made of them alone.
        whole: blocks with rows of which no channel can leave.
    """

    count: int
    rows: Mapping[str, Numbers]
    columns: Mapping[str, tuple[Numbers, ...]]
    needed: tuple[Numbers, ...]
    whole: tuple[str, ...]


def channels(model: ImplicitModel, names: Container[str]) -> Channels:
    """The channels that can leave a model.

    Args:
        model: the teacher's.
        names: blocks and outputs that get new rows; what the others read or give stays.
    """
    links = _Links(model, names)
    for name, affine in model.affines():
        for term in affine.terms:
            links.follow(name, affine, term)
    links.share(model)
    return links.found()


class _Links:
    """Nodes are the channels of all blocks, and one for all that stays; edges join what leaves together."""

    def __init__(self, model: ImplicitModel, names: Container[str]) -> None:
        self._blocks = {b.name: b for b in model.blocks}
        self._affines = dict(model.affines())
        self._axes = channel_axes(model)
        sizes = [b.shape[self._axes[b.name]] if b.name in self._axes else b.affine.rows for b in model.blocks]
        first = np.concatenate([[0], np.cumsum(sizes)])
        self._nodes = {
            b.name: np.arange(i, i + n) for b, i, n in zip(model.blocks, first, sizes, strict=False)
        }
        self._stays = int(first[-1])
        self._edges: list[tuple[Numbers, Numbers]] = []
        self._needed: list[Numbers] = []
        # Numbers of the columns before they are known as sets.
        self._columns: dict[str, list[Numbers]] = {name: [] for name in self._affines}
        for block in model.blocks:
            regressed = bool(block.affine.weighted) or block.affine.bias is not None
            if block.name not in self._axes or (regressed and block.name not in names):
                self._keep(block.name)
        self._fresh = names

    def follow(self, name: str, affine: Affine, term: Term) -> None:
        """Join what a term joins."""
        stages = None
        if term.source in self._axes:
            start = state_channels(self._blocks[term.source], self._axes[term.source])
            stages = numbered(term.maps, start)
        end = None if stages is None else stages[-1]
        for stage in stages or ():
            if (stage.numbers >= 0).all():
                self._needed.append(self._nodes[term.source][np.unique(stage.numbers)])
        if term.weight is None:
            self._added(name, affine, term, end)
        else:
            self._columns[name].append(self._read(name, affine, term, end))

    def share(self, model: ImplicitModel) -> None:
        """Join rows and columns of all uses of the same rows."""
        for owner in filter(model.owns, model.owners):
            first, *others = ([self._given(n), *self._columns[n]] for n in model.uses(owner))
            for other in others:
                self._edges += zip(first, other, strict=True)

    def _given(self, name: str) -> Numbers:
        """The node of every row of a block with rows, or of none for an output."""
        return self._rows(name, self._affines[name])

    def found(self) -> Channels:
        """The sets, numbered in the order of their first channels."""
        size = self._stays + 1
        pairs = [np.concatenate(p) for p in zip(*self._edges, strict=True)] if self._edges else [[], []]
        graph = sparse.coo_array((np.ones(len(pairs[0])), (pairs[0], pairs[1])), shape=(size, size))
        _, labels = csgraph.connected_components(graph, directed=False)
        leaving, first = np.unique(labels[labels != labels[-1]], return_index=True)
        sets = np.full(labels.max() + 1, STAYS)
        sets[leaving[np.argsort(first)]] = np.arange(len(leaving))
        numbers = np.append(sets[labels], STAYS)
        rows = {
            name: numbers[self._nodes[name]] if name in self._nodes else np.full(a.rows, STAYS)
            for name, a in self._affines.items()
        }
        columns = {name: tuple(numbers[c] for c in own) for name, own in self._columns.items()}
        alone = {tuple(own): own for own in (numbers[n] for n in self._needed) if (own != STAYS).all()}
        whole = tuple(
            b.name
            for b in self._blocks.values()
            if b.affine.weighted and b.name in self._fresh and (rows[b.name] == STAYS).all()
        )
        return Channels(len(leaving), rows, columns, tuple(alone.values()), whole)

    def _read(self, name: str, affine: Affine, term: Term, end: Numbered | None) -> Numbers:
        """The node that each column of a weighted term reads; the last number is that of no node."""
        assert term.weight is not None
        _, width = weight_shape(term.weight)
        if term.source not in self._blocks:
            if term.groups > 1:
                self._keep(name)
            return np.full(width, self._stays)
        nodes = self._nodes[term.source]
        if end is None or end.axis != 0 or name not in self._fresh:
            self._keep(term.source)
            return np.full(width, self._stays)
        columns = np.where(end.numbers < 0, self._stays, nodes[np.maximum(end.numbers, 0)])
        if term.groups > 1:
            self._grouped(name, affine, term, columns)
        return columns

    def _grouped(self, name: str, affine: Affine, term: Term, columns: Numbers) -> None:
        """Depthwise rows leave with the one channel they read; other groups have to stay of one size."""
        by_group = columns.reshape(term.groups, -1)
        if name not in self._nodes or (by_group != by_group[:, :1]).any() or len(affine.weighted) > 1:
            self._keep(name)
            self._edges.append((columns, np.full(len(columns), self._stays)))
            return
        rows = self._nodes[name].reshape(term.groups, -1)
        self._edges.append((np.broadcast_to(by_group[:, :1], rows.shape).ravel(), rows.ravel()))

    def _added(self, name: str, affine: Affine, term: Term, end: Numbered | None) -> None:
        """A term without a weight adds channel to channel."""
        own = self._rows(name, affine)
        axis = row_axis(self._blocks[name], self._axes[name]) if name in self._axes else affine.row_axis
        if end is None or end.axis != axis or len(end.numbers) != len(own):
            if term.source in self._nodes:
                self._keep(term.source)
            self._keep(name)
            return
        there = end.numbers >= 0
        self._edges.append((self._nodes[term.source][end.numbers[there]], own[there]))

    def _rows(self, name: str, affine: Affine) -> Numbers:
        """The node of every row of a pre-activation."""
        if name not in self._axes:
            return np.full(affine.rows, self._stays)
        places = entries(self._blocks[name], self._axes[name])
        return np.where(places < 0, self._stays, self._nodes[name][np.maximum(places, 0)])

    def _keep(self, name: str) -> None:
        if name in self._nodes:
            nodes = self._nodes[name]
            self._edges.append((nodes, np.full(len(nodes), self._stays)))
