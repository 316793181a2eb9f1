"""How the entries that a target leaves are shared out between row groups, and at which alphas."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from sim_compress.compression.allocation.curves import CURVES, Curves
from sim_compress.compression.allocation.paths import Paths, deepest
from sim_compress.compression.rows.patterns import Pattern
from sim_compress.compression.steps.moments import Problems
from sim_compress.compression.steps.step import Step
from sim_compress.core import Path, allocate, share
from sim_compress.core.allocation import rounded
from sim_compress.errors import InputError
from sim_compress.model import Affine
from sim_compress.states import RowGroup, row_groups

# alpha and entries to keep of one row group
Share = tuple[float, int]
# From the problems, their paths, the blocks of a part, its count and what was measured.
Shares = Callable[..., dict[str, list[Share]]]


@dataclass(frozen=True)
class Allocation:
    """A way to share entries out.

    Attributes:
        share: the shares of every row group by block name; their entries sum to the count.
        depth: how many entries paths must reach, from the problems and the entries that a target leaves.
        measured: steps whose results `share` takes beside the paths.
        free: whether entries that a block cannot use can go to others.
    """

    share: Shares
    depth: Callable[[Problems, int], int]
    measured: tuple[Step[Any], ...] = ()
    free: bool = True


def _by_output(
    _problems: Problems, paths: Paths, names: Sequence[str], count: int, measured: Curves
) -> dict[str, list[Share]]:
    return _of_blocks(paths, names, share([measured.curves[n] for n in names], count))


def _by_alpha(_problems: Problems, paths: Paths, names: Sequence[str], count: int) -> dict[str, list[Share]]:
    shares = iter(_shares(list(chain.from_iterable(paths.of[n] for n in names)), count))
    return {n: [next(shares) for _ in paths.of[n]] for n in names}


def _uniformly(_problems: Problems, paths: Paths, names: Sequence[str], count: int) -> dict[str, list[Share]]:
    sizes = np.array([sum(p.size for p in paths.of[n]) for n in names])
    return _of_blocks(paths, names, rounded(count * sizes / max(sizes.sum(), 1), sizes, count))


def _of_blocks(paths: Paths, names: Sequence[str], counts: Sequence[int]) -> dict[str, list[Share]]:
    return {n: _shares(paths.of[n], own) for n, own in zip(names, counts, strict=True)}


def _shares(paths: Sequence[Path], count: int) -> list[Share]:
    """One alpha for some row groups, and how the count falls to them at it."""
    if not paths:
        return []
    together = allocate(paths, count)
    return [(together.alpha, own) for own in together.counts]


def _deep(problems: Problems, count: int) -> int:
    return max(count, deepest(problems))


def _as_asked(_problems: Problems, count: int) -> int:
    return count


OUTPUT = Allocation(_by_output, _deep, (CURVES,))
ALPHA = Allocation(_by_alpha, _as_asked)
UNIFORM = Allocation(_uniformly, _deep)
NAMED: Mapping[str, Allocation] = {"output": OUTPUT, "alpha": ALPHA, "uniform": UNIFORM}


def allocation_of(asked: Allocation, pattern: Pattern) -> Allocation:
    """The one asked for, but for patterns that say themselves what every row keeps."""
    return asked if pattern.sparsity is None else _of_pattern(pattern)


def _of_pattern(pattern: Pattern) -> Allocation:
    def shared(problems: Problems, paths: Paths, names: Sequence[str], _count: int) -> dict[str, list[Share]]:
        fixed = _fixed(problems, pattern)
        pairs = {n: zip(paths.of[n], fixed[n], strict=True) for n in names}
        return {n: [_shares([path], kept)[0] for path, kept in pairs[n]] for n in names}

    def depth(problems: Problems, count: int) -> int:
        return max(_deep(problems, count), sum(chain.from_iterable(_fixed(problems, pattern).values())))

    return Allocation(shared, depth, free=False)


def _fixed(problems: Problems, pattern: Pattern) -> dict[str, tuple[int, ...]]:
    """What a pattern keeps of every row group.

    Raises:
        InputError: it keeps no fewer entries than the rows have.
    """
    fixed = {n: tuple(_kept(pattern, a, g) for g in row_groups(a)) for n, a in problems.affines.items()}
    total = sum(map(sum, fixed.values()))
    present = sum(w.nnz for a in problems.affines.values() for w in a.weights)
    if total >= present:
        raise InputError(
            f"the pattern keeps {total:,} entries, and the network has {present:,} nonzero weights: choose a "
            "pattern that keeps fewer"
        )
    return fixed


def _kept(pattern: Pattern, affine: Affine, group: RowGroup) -> int:
    every = np.ones((group.rows.stop - group.rows.start, group.width))
    return int(pattern.projection(affine, group)(every, every.size).sum())
