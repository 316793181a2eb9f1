"""Many wide rows at once: Newton steps by conjugate gradients, one product with H for all rows.

A Cholesky factor for every row and step takes most of the time of wide blocks. Here the rows move side by
side, each by coordinate descent, which finds its active set, and then by a Newton step on that set, whose
equations are solved for all rows together. The row solver takes over what is left, and certifies it.
"""

import numpy as np
from numpy.typing import NDArray

from sim_compress.compilation import inlined, kernel
from sim_compress.core.conjugate import Single, corrections
from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import in_pieces, over_rows
from sim_compress.core.solvers.cost import Cost, Shared, duality_gap, residual, value
from sim_compress.core.solvers.descent import add_product, assign, nonzero, sweep
from sim_compress.core.solvers.minimiser import SETTLED, Stop
from sim_compress.core.solvers.newton import move_within, slope_of

# It pays where a factor of each row takes more than so many times the operations of one product with H, as
# for rough refits, and factors of all rows more than a second or two: this kernel has to be compiled too.
FACTORS, LEAST = 8, 1e10
# Newton steps of all rows, and passes of coordinate descent between two.
STEPS, PASSES = 8, 4
# Residual of a Newton step's equations.
INEXACT = 1e-2
# Rows left that are not worth a step of all.
FEW_LEFT = 0.02


def pays(active: NDArray[np.intp], features: int) -> bool:
    """Whether rows with so many active entries each are wide and many enough."""
    factors = float(np.sum(active.astype(float) ** 3)) / 3
    return factors > max(FACTORS * len(active) * float(features) ** 2, LEAST)


def advance(
    problems: RowProblems, penalty: Penalty, alpha: float, weights: Matrix, V: Matrix, stop: Stop
) -> None:
    """Move rows to near where they are optimal without a ball, in place.

    Args:
        problems, penalty, alpha: as for the native solver.
        weights: the ball's, of which only those that are FORBIDDEN count.
        V: the rows, (rows, features).
        stop: when a row is done; `absolute` is relative to its c.
    """
    H = problems.H.astype(np.float32)
    moves, slopes = np.zeros_like(V), np.empty_like(V)
    bent, left = np.empty(V.shape, bool), np.empty(len(V), bool)
    curvature, paid = np.float32(alpha / penalty.knee), (float(alpha), penalty.knee, weights)
    for _ in range(STEPS):
        given = (problems.H, problems.g, problems.c, V, moves)
        over_rows(_descend, len(V), *given, *paid, stop, slopes, bent, left)
        rows = np.flatnonzero(left)
        if len(rows) <= FEW_LEFT * len(V):
            return

        def newton(piece: slice, rows: NDArray[np.intp] = rows) -> Matrix:
            own = rows[piece]
            return _newton(H, V[own] != 0, slopes[own], curvature * bent[own])

        moves[:] = 0.0
        moves[rows] = np.concatenate(in_pieces(newton, len(rows)))
    over_rows(_finish, len(V), problems.H, problems.g, V, moves, *paid)


def _newton(H: Single, active: NDArray[np.bool_], slopes: Matrix, curvature: Single) -> Matrix:
    """Solutions of (H + D) d = -slope on the active sets, to INEXACT."""
    size = np.linalg.norm(slopes, axis=1)
    scale = np.where(size > 0, size, 1.0)[:, None]
    part = np.full(len(slopes), INEXACT)
    found, _ = corrections(H, (-slopes / scale).astype(np.float32), active, part, curvature=curvature)
    found[~np.isfinite(found).all(axis=1)] = 0
    return scale * found.astype(np.float64)


@kernel
def _descend(first, stop_row, H, G, C, V, moves, alpha, knee, weights, stop, slopes, bent, left):
    """Rows first:stop_row take the move that is found for them, then some passes of coordinate descent.

    Args:
        moves: Newton steps, taken as far as they help; rows that are done take none.
        slopes: takes the derivative of the objective on active coordinates, zero elsewhere.
        bent: takes where the penalty is curved.
        left: takes which rows are not done.
    """
    everything = np.arange(H.shape[0])
    for r in range(first, stop_row):
        v, g, cost = V[r], G[r], Cost(alpha, knee, weights[r], 0.0)
        q = _taken(H, g, v, moves[r], cost)
        left[r] = C[r] > 0.0
        if C[r] <= 0.0:
            assign(v, np.zeros(len(v)))
            continue
        moved = sweep(H, q, v, cost, everything)
        fit = residual(q, g, C[r], v)
        gap = duality_gap(q, fit, v, cost)
        left[r] = (
            gap > max(stop.absolute * C[r], stop.relative * (0.5 * fit + value(v, cost))) and moved > 0.0
        )
        if not left[r]:
            continue
        active = nonzero(v)
        for _ in range(PASSES):
            if sweep(H, q, v, cost, active) <= SETTLED * moved:
                break
        for j in range(len(v)):
            slopes[r, j] = slope_of(q, v, cost, j) if v[j] != 0.0 else 0.0
            bent[r, j] = abs(v[j]) > knee


@kernel
def _finish(first, stop_row, H, G, V, moves, alpha, knee, weights):
    """Rows first:stop_row take the last move that was found for them."""
    for r in range(first, stop_row):
        _taken(H, G[r], V[r], moves[r], Cost(alpha, knee, weights[r], 0.0))


@inlined
def _taken(H, g, v, move, cost):
    """q = Hv - g where a move has been taken as far as it helps."""
    q, product = np.empty(len(v)), np.zeros(len(v))
    for j in range(len(v)):
        q[j] = -g[j]
    add_product(H, q, v)
    add_product(H, product, move)
    move_within(Shared(H, np.zeros((0, 0)), np.zeros(0)), q, v, cost, move, product)
    return q
