"""Supports of every row group along descending alphas, as far down as an allocation of a target needs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from sim_compress.compression.rows.patterns import Pattern
from sim_compress.compression.steps.moments import Problems
from sim_compress.core import Path, Projection, trace
from sim_compress.states import row_groups

# Where blocks have alphas of their own, paths go on to this density of the whole network even when less is
# asked: some blocks keep more than others.
TRACED = 0.5


@dataclass(frozen=True, eq=False)
class Paths:
    """Alpha paths of the blocks that are compressed.

    Attributes:
        of: block or output name -> the paths of its row groups, on one grid of alphas.
        projections: block or output name -> of every row group onto the supports it may have.
    """

    of: Mapping[str, tuple[Path, ...]]
    projections: Mapping[str, tuple[Projection, ...]]


def traced(
    problems: Problems,
    pattern: Pattern,
    count: int,
    progress: Callable[[float], None],
    known: Paths | None = None,
) -> Paths:
    """Paths down to where all blocks hold the count together.

    Args:
        problems: the row problems of every block.
        pattern: of their supports.
        count: entries.
        progress: called with the finished part in [0, 1].
        known: shorter ones, or as long, which are gone on with; the paths are the same as without it.
    """
    before = list(chain.from_iterable(known.of.values())) if known else []
    blocks = list(chain.from_iterable(problems.blocks.values()))
    found = iter(trace(blocks, count, known=before, progress=progress))
    paths = {name: tuple(next(found) for _ in own) for name, own in problems.blocks.items()}
    if known and _steps(paths) == _steps(known.of):
        return known
    projections = {
        n: tuple(pattern.projection(a, g) for g in row_groups(a)) for n, a in problems.affines.items()
    }
    return Paths(paths, projections)


def deepest(problems: Problems) -> int:
    """Entries to which paths go on even when less is asked."""
    return int(TRACED * sum(b.problems.g.size for own in problems.blocks.values() for b in own))


def _steps(paths: Mapping[str, Sequence[Path]]) -> int:
    """Alphas of the grid that all paths share."""
    return max((len(p.alphas) for own in paths.values() for p in own), default=0)
