"""Patterns of hardware: which entries of a block's rows stand together, and how many of them are kept.

Neighbours are entries of one row that a sparse matrix unit reads one after the other: consecutive inputs
of a Gemm or MatMul row; for a convolution consecutive input channels at one place of the kernel, as in
NVIDIA's ASP (apex/contrib/sparsity/sparse_masklib.py permutes a (K, C, R, S) weight to (R, S, K, C)).
"""

import math
import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sim_compress.core import Projection, Quota, Tied, largest
from sim_compress.core.patterns import Numbers
from sim_compress.errors import InputError
from sim_compress.model import Affine, Patches, Term
from sim_compress.states import RowGroup

UNSTRUCTURED = "unstructured"
CHANNELS = "channels"
KNOWN = f"{UNSTRUCTURED}, N:M as 2:4, block:RxC as block:1x4, or {CHANNELS}, or {CHANNELS}:N as {CHANNELS}:8"


class Pattern(Protocol):
    """What the supports of all rows must look like."""

    @property
    def sparsity(self) -> float | None:
        """The part of the entries that the pattern removes; None where the target says how many."""
        ...

    def projection(self, affine: Affine, group: RowGroup, /) -> Projection:
        """The projection of one row group's rows onto the pattern."""
        ...


@dataclass(frozen=True)
class Unstructured:
    """Any support."""

    sparsity = None

    def projection(self, _affine: Affine, _group: RowGroup, /) -> Projection:
        return largest


@dataclass(frozen=True)
class OfEvery:
    """At most n of every m neighbours; of a short group at the end as many, or all there are.

    Hardware pads a row with zeros up to a multiple of m and keeps n of each group of that.
    """

    n: int
    m: int

    @property
    def sparsity(self) -> float:
        return 1 - self.n / self.m

    def projection(self, affine: Affine, group: RowGroup, /) -> Quota:
        return Quota(neighbours(affine, group, self.m), self.n)


@dataclass(frozen=True)
class Tiles:
    """Tiles of r rows times c neighbours, kept or dropped together; at the ends shorter ones."""

    r: int
    c: int

    sparsity = None

    def projection(self, affine: Affine, group: RowGroup, /) -> Tied:
        rows = np.arange(group.rows.stop - group.rows.start) // self.r
        return Tied(rows, neighbours(affine, group, self.c))


@dataclass(frozen=True)
class WholeChannels(Unstructured):
    """Whole rows and columns leave; rows have any support on those that stay.

    Attributes:
        multiple: of what the channels of a state are to be a multiple.
    """

    multiple: int


def pattern_of(text: str) -> Pattern:
    """The pattern of rows that a word of the user's stands for.

    Raises:
        InputError: it is none, with those there are.
    """
    if text == UNSTRUCTURED:
        return Unstructured()
    if found := re.fullmatch(rf"{CHANNELS}(?::(\d+))?", text):
        multiple = int(found[1] or 1)
        if multiple:
            return WholeChannels(multiple)
    if found := re.fullmatch(r"(\d+):(\d+)", text):
        n, m = map(int, found.groups())
        if 0 < n < m:
            return OfEvery(n, m)
        raise InputError(f"the pattern {text} keeps {n} of every {m}: expected N:M with 0 < N < M")
    if found := re.fullmatch(r"block:(\d+)x(\d+)", text):
        r, c = map(int, found.groups())
        if r and c:
            return Tiles(r, c)
        raise InputError(f"the pattern {text} has blocks without entries: expected block:RxC from 1x1 on")
    raise InputError(f"unknown pattern {text!r}; choose {KNOWN}")


def neighbours(affine: Affine, group: RowGroup, length: int) -> Numbers:
    """Number of the group of at most `length` neighbours that each feature of a row group is in."""
    numbers: list[Numbers] = []
    first = 0
    for term, part in zip(affine.weighted, group.features, strict=True):
        channels, places = np.divmod(np.arange(part.stop - part.start), _places(term))
        each = -(-(part.stop - part.start) // (_places(term) * length))
        numbers.append(first + places * each + channels // length)
        first += _places(term) * each
    return np.concatenate(numbers)


def _places(term: Term) -> int:
    """Features of one input channel: the places of a convolution's kernel, 1 elsewhere."""
    last = term.maps[-1] if term.maps else None
    return math.prod(last.kernel) if isinstance(last, Patches) else 1
