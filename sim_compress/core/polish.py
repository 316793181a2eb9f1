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

FIRST_RHO = 0.03
GROWTH = 1.03
ROUNDS = 400
# The support counts as settled when it has not changed for so many rounds.
SETTLED = 15


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
    eigenvalues, Q = linalg.eigh(problems.H, check_finite=False)
    scale = np.ones((problems.rows, 1)) if weights is None else weights[:, None]
    gQ, start = (scale * problems.g) @ Q, scale * start
    Z, U, rho = start, np.zeros_like(start), FIRST_RHO
    support, rest = project(start, count), 0
    for _ in range(ROUNDS):
        V = _ridge(eigenvalues, Q, gQ, Z - U, rho)
        moved = project(V + U if allowed is None else (V + U) * allowed, count)
        Z = np.where(moved, V + U, 0.0)
        U = (U + V - Z) / GROWTH
        rho *= GROWTH
        rest = rest + 1 if np.array_equal(moved, support) else 0
        support = moved
        if rest == SETTLED:
            break
    return support


def _ridge(eigenvalues: Matrix, Q: Matrix, gQ: Matrix, target: Matrix, rho: float) -> Matrix:
    """argmin of the datafit + rho/2 |V - target|^2, from the eigendecomposition of H."""
    shrunk = np.maximum(eigenvalues, 0.0) + rho

    def rows(piece: slice) -> Matrix:
        return ((gQ[piece] + rho * (target[piece] @ Q)) / shrunk) @ Q.T

    return np.concatenate(in_pieces(rows, len(gQ)))
