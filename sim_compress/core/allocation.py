"""One alpha for the whole network, looked up on the paths of all blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.engines import Engine, Shared, one_by_one_or
from sim_compress.core.gram import Matrix
from sim_compress.core.path import Path, empty_path, longer_path
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import Mask, RowProblems
from sim_compress.core.solution import Ball
from sim_compress.storage import IN_MEMORY, Storage

# Ratio of neighbouring alphas. Counts are interpolated between them.
RATIO = 1.2
# Alphas traced between two looks at the counts.
STRIDE = 4
# Below this part of the largest alpha a penalty no longer makes zeros that float32 moments can tell.
SMALLEST = 1e-7


@dataclass(frozen=True)
class Block:
    """One block's rows as the allocation sees them.

    Attributes:
        problems: of all rows; the convex ones leave the bias of every row free.
        penalty: P.
        ball: the kappa constraint.
        biased: (rows,) rows whose bias costs nothing, as the network has one; all if not given. Any other
            bias is an entry like a weight.
    """

    problems: RowProblems
    penalty: Penalty
    ball: Ball | None = None
    biased: Mask | None = None

    @property
    def allowed(self) -> Mask:
        """Where a row may be nonzero, (rows, features)."""
        return self.problems.free if self.ball is None else self.problems.free & self.ball.allowed

    @property
    def given(self) -> Mask:
        """(rows,) rows whose bias costs nothing."""
        return np.ones(self.problems.rows, bool) if self.biased is None else self.biased

    @property
    def constant(self) -> Mask:
        """(rows,) rows whose target is a constant other than zero: all of them is a bias, which counts."""
        return ~self.given & (self.problems.row_scale == 0) & (self.problems.row_mean != 0)


@dataclass(frozen=True)
class Allocation:
    """What one target takes from the paths.

    Attributes:
        alpha: weight of the penalty for the whole network.
        counts: how many entries each block keeps; they sum to the target.
    """

    alpha: float
    counts: tuple[int, ...]


def trace(
    blocks: Sequence[Block],
    count: int,
    engine: Engine,
    *,
    known: Sequence[Path] = (),
    progress: Callable[[float], None] = lambda _: None,
    storage: Storage = IN_MEMORY,
) -> tuple[Path, ...]:
    """Paths of all blocks on one grid of alphas, down to where their supports hold `count` entries.

    Args:
        blocks: the row problems of every block.
        count: the largest target that will be asked of the paths.
        engine: traces blocks side by side.
        known: the same blocks' paths for a smaller target; they are gone on with, to the same supports as
            from the start.
        progress: called with the finished part in [0, 1].
        storage: where the paths lie.
    """
    highest = max((float(np.abs(b.problems.g).max(initial=0.0)) for b in blocks), default=0.0)
    if known:
        paths, alpha, found = list(known), float(known[0].alphas[-1]), _held(known)
    else:
        paths, alpha, found = [empty_path(b.problems, b.ball) for b in blocks], highest, -1
    least = SMALLEST * highest
    shared = [engine.share(block) for block in blocks]
    while found < 0 or (found < count and alpha > least):
        alphas: Matrix = alpha / np.power(RATIO, np.arange(1.0, STRIDE + 1))
        tasks = [_Stretch(own, known, alphas) for own, known in zip(shared, paths, strict=True)]
        paths = list(_stored(one_by_one_or(engine, _longer, tasks), storage))
        alpha = float(alphas[-1])
        found = _held(paths)
        progress(min(found / max(count, 1), 1.0))
    for block in shared:
        block.drop()
    return tuple(paths)


def _stored(paths: Iterable[Path], storage: Storage) -> Iterator[Path]:
    """The paths as they come, each where it lies from then on."""
    for path in paths:
        yield storage.kept(path)
        storage.release()


@dataclass(frozen=True)
class _Stretch:
    """A block's path so far, and the alphas that come next."""

    block: Shared[Block]
    known: Path
    alphas: Matrix


def _longer(task: _Stretch) -> Path:
    block = task.block.value
    return longer_path(task.known, block.problems, block.penalty, task.alphas, block.ball)


def _held(paths: Sequence[Path]) -> int:
    """Entries of the supports at the last alpha."""
    return sum(int(p.counts[-1]) for p in paths)


def allocate(paths: Sequence[Path], count: int) -> Allocation:
    """Where the paths' supports hold `count` entries together.

    Args:
        paths: every block's, on one grid.
        count: nonzero weights to keep over all blocks.
    """
    sizes = np.array([p.size for p in paths])
    counts = np.array([p.counts for p in paths]).reshape(len(paths), -1)
    totals = counts.sum(axis=0)
    reached = np.flatnonzero(totals >= count)
    step = int(reached[0]) if len(reached) else len(totals) - 1
    after = counts[:, step]
    before = counts[:, step - 1] if step else np.zeros_like(after)
    part = (count - before.sum()) / max(after.sum() - before.sum(), 1)
    alpha = float(paths[0].alphas[step] * RATIO ** (1 - min(part, 1.0)))
    kept = rounded(before + part * (after - before), sizes, count)
    return Allocation(alpha, kept)


def rounded(wanted: Matrix, sizes: NDArray[np.int64], count: int) -> tuple[int, ...]:
    """Whole numbers near the wanted ones, none above its size, that sum to the count."""
    counts = np.clip(np.floor(wanted), 0, sizes).astype(int)
    excess = int(counts.sum()) - count
    while excess > 0:
        order = np.argsort(wanted - counts, kind="stable")
        counts[order[counts[order] > 0][:excess]] -= 1
        excess = int(counts.sum()) - count
    missing = min(count, int(sizes.sum())) - int(counts.sum())
    while missing > 0:
        order = np.argsort(counts - wanted, kind="stable")
        counts[order[counts[order] < sizes[order]][:missing]] += 1
        missing = min(count, int(sizes.sum())) - int(counts.sum())
    return tuple(int(c) for c in counts)
