"""Supports of every row group along descending alphas, as far down as an allocation of a target needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain

from sim_compress.compression.rows.patterns import Pattern
from sim_compress.compression.steps.moments import Problems
from sim_compress.core import Path, Projection, trace
from sim_compress.core.engines import Engine
from sim_compress.model import Affine
from sim_compress.states import row_groups
from sim_compress.storage import IN_MEMORY, Storage

# Where blocks have alphas of their own, paths go on to this density of the whole network even when less is
# asked: some blocks keep more than others.
TRACED = 0.5


@dataclass(frozen=True, eq=False)
class Paths:
    """Alpha paths of the blocks that are compressed.

    Attributes:
        of: block or output name -> the paths of its row groups, on one grid of alphas.
        projections: block or output name -> of every row group onto the supports it may have.
        count: entries that they hold together, at least.
    """

    of: Mapping[str, tuple[Path, ...]]
    projections: Mapping[str, tuple[Projection, ...]]
    count: int

    @property
    def steps(self) -> int:
        """Alphas of the grid."""
        return max((len(p.alphas) for own in self.of.values() for p in own), default=0)


def traced(
    problems: Problems,
    pattern: Pattern,
    count: int,
    engine: Engine,
    progress: Callable[[float], None],
    known: Paths | None = None,
    storage: Storage = IN_MEMORY,
) -> Paths:
    """Paths down to where all blocks hold the count together.

    Args:
        problems: the row problems of every block.
        pattern: of their supports.
        count: entries.
        engine: traces blocks side by side.
        progress: called with the finished part in [0, 1].
        known: others, which are gone on with where they are no longer; the paths are the same as without it.
        storage: where the paths lie.
    """
    if known is not None and known.count > count:
        known = None
    before = list(chain.from_iterable(known.of.values())) if known else []
    blocks = list(chain.from_iterable(problems.blocks.values()))
    found = iter(trace(blocks, count, engine, known=before, progress=progress, storage=storage))
    own = {name: tuple(next(found) for _ in blocks) for name, blocks in problems.blocks.items()}
    paths = Paths(own, projections(problems, pattern), count)
    return known if known is not None and paths.steps == known.steps else paths


def projections(problems: Problems, pattern: Pattern) -> dict[str, tuple[Projection, ...]]:
    """Of every row group onto the supports that a pattern allows."""
    return {n: tuple(pattern.projection(a, g) for g in row_groups(a)) for n, a in problems.affines.items()}


def deepest(affines: Mapping[str, Affine]) -> int:
    """Entries to which paths go on even when less is asked."""
    groups = (group for affine in affines.values() for group in row_groups(affine))
    return int(TRACED * sum((g.rows.stop - g.rows.start) * g.width for g in groups))
