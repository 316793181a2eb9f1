"""l0 search from the convex support: ADMM in the Gram's metric with a growing penalty parameter.

    minimise over V:  datafit(V)    s.t.  nnz(V) <= count

splits into a ridge step (one eigendecomposition of H serves all of them) and the projection onto the
supports of a pattern; without a pattern that keeps the largest entries of the whole block. rho grows until
the support rests (Meng et al. 2024, ALPS, section 3).
"""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from sim_compress.core.gram import Matrix
from sim_compress.core.patterns import Projection, largest
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import in_pieces

# The first penalty parameter. On layers of MiniLM, at 10, 40 and 70 % density, supports from 0.1 on are as
# good as from 0.03, in half the rounds; from 0.2 on they are worse by up to 1 % of the error, and a growth of
# 1.04 costs 0.3 %. In small blocks a few entries decide, and rounds cost nothing.
FIRST_RHO, FIRST_RHO_OF_LARGE = 0.03, 0.1
GROWTH = 1.03
ROUNDS = 400
# The support counts as settled when it has not changed for so many rounds; in large blocks when in so many
# rounds no more than this part of its entries has changed in each, which is worth 1e-4 of the error.
SETTLED, SETTLED_OF_LARGE, MOVED = 15, 5, 1e-3
# Entries of a large block.
LARGE = 100_000


def polish(
    problems: RowProblems,
    start: Matrix,
    count: int,
    allowed: NDArray[np.bool_] | None = None,
    weights: Matrix | None = None,
    project: Projection = largest,
) -> NDArray[np.bool_]:
    """A support of `count` entries with a lower least-squares error than the start's.

    Args:
        problems: the rows of one block.
        start: rows to start from, (rows, features), usually the convex solution refitted.
        count: entries to keep over all rows.
        allowed: where a row may be nonzero, (rows, features); everywhere if not given.
        weights: what an error of each row counts, (rows,), before it is squared; all the same if not given.
        project: gives the support that is nearest to some rows.

    Returns:
        The support, (rows, features), as `project` gives it: without a pattern exactly min(count, size)
        entries.
    """
    ridge = _Ridge(problems, weights)
    if allowed is not None and allowed.all():
        allowed = None
    Z = (start if weights is None else weights[:, None] * start).astype(np.float32)
    U, large = np.zeros_like(Z), Z.size >= LARGE
    rho, settled = (FIRST_RHO_OF_LARGE, SETTLED_OF_LARGE) if large else (FIRST_RHO, SETTLED)
    support, rest = project(Z, count), 0
    for _ in range(ROUNDS):
        V = ridge.nearest(Z - U, rho)
        V += U
        moved = project(V if allowed is None else V * allowed, count)
        Z = np.where(moved, V, np.float32(0))
        U = (V - Z) / np.float32(GROWTH)
        rho *= GROWTH
        rest = rest + 1 if np.count_nonzero(moved != support) <= large * MOVED * count else 0
        support = moved
        if rest == settled:
            break
    return support


class _Ridge:
    """The ridge steps of one block from the eigendecomposition of its H.

    They are computed in float32: supports have no use for more digits, and products cost half as much.
    """

    def __init__(self, problems: RowProblems, weights: Matrix | None) -> None:
        eigenvalues, Q = linalg.eigh(problems.H, check_finite=False)
        g = problems.g if weights is None else weights[:, None] * problems.g
        self._eigenvalues = np.maximum(eigenvalues, 0.0).astype(np.float32)
        self._Q, self._back = Q.astype(np.float32), np.ascontiguousarray(Q.T, np.float32)
        self._g = (g @ Q).astype(np.float32)

    def nearest(self, target: NDArray[np.float32], rho: float) -> NDArray[np.float32]:
        """argmin over V of the datafit + rho/2 |V - target|^2, (rows, features)."""
        own = np.float32(rho)
        shrunk = self._eigenvalues + own

        def rows(piece: slice) -> NDArray[np.float32]:
            return ((self._g[piece] + own * (target[piece] @ self._Q)) / shrunk) @ self._back

        return np.concatenate(in_pieces(rows, len(target)))
