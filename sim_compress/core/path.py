"""The supports of a block along descending alphas, each row warm-started from the alpha before."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import over_rows
from sim_compress.core.solution import Ball
from sim_compress.core.solvers.appraisal import unbounded
from sim_compress.core.solvers.minimiser import Stop
from sim_compress.core.solvers.rows import solve_rows

# Passes a row may take at one alpha; the next one goes on from where they left it.
SWEEPS = 200
# A row moves on when its duality gap is below this part of c: supports need no more, and a tenth of it takes
# three times as long on rows of 1,536 features (MiniLM).
TOLERANCE = 1e-2


@dataclass(frozen=True)
class Path:
    """Supports of one block for every alpha of a descending grid.

    Attributes:
        alphas: (steps,), descending.
        packed: supports as bits along the features, (steps, rows, bytes).
        counts: entries of each support, (steps,).
        features: columns of a support.
        size: entries that can be other than zero.
        rows: v at the last alpha, (rows, features): where a longer path goes on.
        multiplier: of each row's ball at the last alpha, (rows,).
    """

    alphas: Matrix
    packed: NDArray[np.uint8]
    counts: NDArray[np.int64]
    features: int
    size: int
    rows: Matrix
    multiplier: Matrix

    def support(self, step: int) -> NDArray[np.bool_]:
        """Where the rows at alphas[step] are not zero, (rows, features)."""
        bits = np.unpackbits(self.packed[step], axis=1, count=self.features, bitorder="little")
        return bits.astype(bool)


def path(
    problems: RowProblems,
    penalty: Penalty,
    alphas: Matrix,
    ball: Ball | None = None,
    tolerance: float = TOLERANCE,
) -> Path:
    """Supports of a block along descending alphas, from rows of zeros; arguments as for `longer_path`."""
    return longer_path(empty_path(problems, ball), problems, penalty, alphas, ball, tolerance)


def empty_path(problems: RowProblems, ball: Ball | None = None) -> Path:
    """A path without alphas; it starts at rows of zeros."""
    rows, features = problems.g.shape
    size = int(np.count_nonzero(problems.free if ball is None else problems.free & ball.allowed))
    packed = np.zeros((0, rows, -(-features // 8)), np.uint8)
    start = np.zeros((rows, features))
    return Path(np.zeros(0), packed, np.zeros(0, np.int64), features, size, start, np.zeros(rows))


def longer_path(
    known: Path,
    problems: RowProblems,
    penalty: Penalty,
    alphas: Matrix,
    ball: Ball | None = None,
    tolerance: float = TOLERANCE,
) -> Path:
    """The path with more alphas.

    Args:
        known: the path so far; its last rows are the start.
        problems, penalty, ball: the block.
        alphas: descending, below the path's.
        tolerance: a row moves on when its duality gap is below this part of c.
    """
    V, multiplier = known.rows.copy(), known.multiplier.copy()
    packed = np.zeros((len(alphas), *known.packed.shape[1:]), np.uint8)
    if ball is None:
        ball = unbounded(problems)
    over_rows(
        solve_rows,
        problems.rows,
        problems.H,
        np.zeros((0, 0)),
        problems.g,
        problems.c,
        V,
        alphas,
        penalty.knee,
        ball.weights,
        ball.radius,
        Stop(0.0, tolerance, SWEEPS),
        multiplier,
        packed,
        False,
    )
    counts = np.bitwise_count(packed).sum(axis=(1, 2), dtype=np.int64)
    return Path(
        np.concatenate([known.alphas, alphas]),
        np.concatenate([known.packed, packed]),
        np.concatenate([known.counts, counts]),
        known.features,
        known.size,
        V,
        multiplier,
    )
