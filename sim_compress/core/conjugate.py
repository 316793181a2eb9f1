"""Least squares of many wide rows on their supports: conjugate gradients, one product with H for all.

Steps are taken in float32, where a product costs half as much, towards residuals that are computed in
float64 (iterative refinement): the rows have float64's digits in the end.
"""

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.gram import Matrix
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import in_pieces

# Added to a support's diagonal: below the float32 rounding of the Gram, above its negative eigenvalues.
RIDGE = 1e-7
# A row is done when its residual is this part of its right-hand side.
TOLERANCE = 1e-7
# Rows that only serve to measure an error, or to start a search, are done when their residual is this part of
# the start's: that adds at most 1e-3 of it to an error (a feed-forward half of MiniLM's first layer).
ROUGH = 1e-2
# What float32 steps take off a residual before it is computed anew.
REFINED = 1e-4
STEPS = 300
# A direction along which H is no more than this is flat to float32: a row takes no step along it or later.
FLAT = np.float32(1e-6)
TINY = np.float32(1e-30)

Single = NDArray[np.float32]


def conjugate(
    problems: RowProblems,
    support: NDArray[np.bool_],
    *,
    rough: bool = False,
    start: Matrix | None = None,
) -> tuple[Matrix, NDArray[np.intp]]:
    """Rows that solve the normal equations on their supports.

    Args:
        problems: the rows of one block; H has a unit diagonal, so it needs no preconditioner.
        support: (rows, features).
        rough: stop at ROUGH.
        start: rows from which the steps go on; the teacher's if not given.

    Returns:
        v, (rows, features), zero outside the support, and the rows that are not done after STEPS; of rough
        ones those that are no better than the start.
    """
    H = problems.H.astype(np.float32)
    first = problems.prior if start is None else start

    def rows(piece: slice) -> tuple[Matrix, NDArray[np.bool_]]:
        return _rows(problems.H, H, problems.g[piece], first[piece], support[piece], rough)

    V, done = (np.concatenate(part) for part in zip(*in_pieces(rows, problems.rows), strict=True))
    return V, np.flatnonzero(~done)


def _rows(
    H: Matrix, single: Single, g: Matrix, start: Matrix, support: NDArray[np.bool_], rough: bool
) -> tuple[Matrix, NDArray[np.bool_]]:
    """Some rows, and which of them are done; H comes in both precisions."""
    V, wanted = np.where(support, start, 0.0), np.where(support, g, 0.0)
    enough, left = TOLERANCE * np.linalg.norm(wanted, axis=1), STEPS

    def residuals() -> tuple[Matrix, Matrix]:
        R = np.where(support, wanted - V @ H - RIDGE * V, 0.0)
        return R, np.linalg.norm(R, axis=1)

    R, size = residuals()
    first = size
    if rough:
        enough = np.maximum(enough, ROUGH * first)
    while True:
        open_ = np.flatnonzero(size > enough)
        if not len(open_) or left <= 0:
            # A residual that is no number is not done.
            return V, size <= (np.maximum(enough, first) if rough else enough)
        scale = size[open_, None]
        part = np.maximum(enough[open_] / size[open_] / 2, REFINED)
        residual = (R[open_] / scale).astype(np.float32)
        found, taken = corrections(single, residual, support[open_], part, left)
        V[open_] += scale * found
        left -= max(taken, 1)
        R, size = residuals()


def corrections(
    H: Single,
    R: Single,
    support: NDArray[np.bool_],
    part: Matrix,
    most: int = STEPS,
    curvature: Single | float = 0.0,
) -> tuple[Single, int]:
    """Solutions of (H + curvature) x = R on the supports, and how many steps they took.

    Hestenes and Stiefel 1952, each row with steps of its own; one that is done stands still.

    Args:
        H: with a unit diagonal.
        R: right-hand sides of size one or zero, (rows, features), zero outside the supports; lost.
        support: (rows, features).
        part: the residual at which each row is done, (rows,).
        most: steps.
        curvature: added to the diagonal, (rows, features).
    """
    V, P, size = np.zeros_like(R), R.copy(), np.einsum("rj,rj->r", R, R)
    enough, extra = (part**2).astype(np.float32), np.float32(RIDGE) + np.asarray(curvature, np.float32)
    for number in range(most):
        moving = size > enough
        if not moving.any():
            return V, number
        Hp = P @ H
        Hp *= support
        Hp += extra * P
        bend = np.einsum("rj,rj->r", P, Hp)
        flat = bend <= FLAT * np.einsum("rj,rj->r", P, P)
        enough[flat] = np.inf
        step = np.where(moving & ~flat, size / np.maximum(bend, TINY), 0)
        V += step[:, None] * P
        Hp *= step[:, None]
        R -= Hp
        fresh = np.einsum("rj,rj->r", R, R)
        P *= (fresh / np.maximum(size, TINY))[:, None]
        P += R
        size = fresh
    return V, most
