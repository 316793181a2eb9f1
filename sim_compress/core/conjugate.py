"""Least squares of many wide rows on their supports: conjugate gradients, one product with H for all."""

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import in_pieces

# Added to a support's diagonal: below the float32 rounding of the Gram, above its negative eigenvalues.
RIDGE = 1e-7
# A row is done when its residual is this part of its right-hand side.
TOLERANCE = 1e-7
STEPS = 300


def conjugate(problems: RowProblems, support: NDArray[np.bool_]) -> tuple[Matrix, NDArray[np.intp]]:
    """Rows that solve the normal equations on their supports, from the teacher's rows on.

    Args:
        problems: the rows of one block; H has a unit diagonal, so it needs no preconditioner.
        support: (rows, features).

    Returns:
        v, (rows, features), zero outside the support, and the rows that are not done after STEPS.
    """
    found = in_pieces(
        lambda p: _rows(problems.H, problems.g[p], problems.prior[p], support[p]), problems.rows
    )
    V, done = (np.concatenate(part) for part in zip(*found, strict=True))
    return V, np.flatnonzero(~done)


def _rows(
    H: Matrix, g: Matrix, start: Matrix, support: NDArray[np.bool_]
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Some rows, and which of them are done (Hestenes and Stiefel 1952, each row with steps of its own)."""
    V = np.where(support, start, 0.0)
    R = np.where(support, g - V @ H - RIDGE * V, 0.0)
    P, size = R.copy(), np.einsum("rj,rj->r", R, R)
    enough = TOLERANCE**2 * np.einsum("rj,rj->r", np.where(support, g, 0.0), g)
    for _ in range(STEPS):
        open_ = np.flatnonzero(size > enough)
        if not len(open_):
            break
        p, keep = P[open_], support[open_]
        Hp = np.where(keep, p @ H + RIDGE * p, 0.0)
        step = (size[open_] / np.einsum("rj,rj->r", p, Hp))[:, None]
        V[open_] += step * p
        R[open_] -= step * Hp
        fresh = np.einsum("rj,rj->r", R[open_], R[open_])
        P[open_] = R[open_] + (fresh / size[open_])[:, None] * p
        size[open_] = fresh
    return V, size <= enough
