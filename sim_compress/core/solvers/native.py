"""The native solver: all rows of a block in parallel, each to its own duality gap.

Rows share H and, where it is well conditioned, its inverse; a row's result does not depend on the thread
that solves it nor on the rows beside it.
"""

import numpy as np
from scipy import linalg

from sim_compress.compilation import kernel
from sim_compress.core.engines.threads import one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import over_rows
from sim_compress.core.solution import FORBIDDEN, Ball, Solution, Status
from sim_compress.core.solvers.appraisal import FLOOR, appraise, unbounded
from sim_compress.core.solvers.cholesky import scratch_size
from sim_compress.core.solvers.cost import Cost, Shared, value
from sim_compress.core.solvers.descent import add_product, assign
from sim_compress.core.solvers.rows import Stop, minimise, minimise_within

# With a larger condition number the inverse of H loses the digits that Newton steps need.
CONDITION = 1e7
# The inverse pays where the teacher's rows cost less than this part of c: most coordinates stay active then.
MANY = 0.2
# From zero, alpha falls by this factor a stage, down to the asked one or to SMALLEST, each to a ROUGH gap.
STAGE, SMALLEST, ROUGH = 0.5, 1e-7, 0.1


def solve(
    problems: RowProblems,
    penalty: Penalty,
    alpha: float,
    *,
    ball: Ball | None = None,
    start: Matrix | None = None,
    tolerance: float = 1e-6,
    sweeps: int = 1000,
) -> Solution:
    """Minimise every row's objective.

    Args:
        problems: the rows of one block.
        penalty: P.
        alpha: weight of the penalty.
        ball: the kappa constraint, none if the block reads no state.
        start: rows to start from, (rows, features).
        tolerance: stop a row when its duality gap is below this part of its objective.
        sweeps: at most so many passes over a row's coordinates.
    """
    V = np.zeros_like(problems.g) if start is None else start.copy()
    if ball is None:
        ball = unbounded(problems)
    multiplier = np.zeros(len(V))
    inverse = shared_inverse(problems.H) if _many_active(problems, penalty, alpha) else np.zeros((0, 0))
    over_rows(
        _rows,
        problems.rows,
        problems.H,
        inverse,
        problems.g,
        problems.c,
        V,
        Cost(float(alpha), penalty.knee, np.zeros(0), 0.0),
        ball.weights,
        ball.radius,
        Stop(tolerance, tolerance * FLOOR, sweeps),
        multiplier,
    )
    return appraise(problems, penalty, alpha, ball, V, multiplier, tolerance, Status.SWEEPS)


def _many_active(problems: RowProblems, penalty: Penalty, alpha: float) -> bool:
    """Whether alpha is so small that most coordinates may be active: only then does the inverse pay."""
    cost = alpha * penalty.value(problems.prior).sum()
    return bool(cost < MANY * problems.c.sum())


def shared_inverse(H: Matrix) -> Matrix:
    """The inverse of H; an empty matrix where H is singular or nearly."""
    potrf, pocon, potri = linalg.get_lapack_funcs(("potrf", "pocon", "potri"), (H,))
    with one_blas_thread():
        L, failed = potrf(H, lower=1)
        if failed:
            return np.zeros((0, 0))
        reciprocal, _ = pocon(L, np.abs(H).sum(axis=0).max(), uplo="L")
        if reciprocal * CONDITION < 1:
            return np.zeros((0, 0))
        inverse, _ = potri(L, lower=1)
    return np.tril(inverse) + np.tril(inverse, -1).T


@kernel
def _rows(first, stop_row, H, inverse, G, C, V, penalty, weights, radius, stop, multiplier):
    """Rows first:stop_row, each by itself."""
    for r in range(first, stop_row):
        shared = Shared(H, inverse, np.empty(scratch_size(len(H))))
        own = Stop(stop.relative, stop.absolute * C[r], stop.sweeps)
        cost = Cost(penalty.alpha, penalty.knee, weights[r], 0.0)
        if C[r] <= 0.0:
            V[r] = 0.0
            continue
        if not V[r].any():
            _start(shared, G[r], C[r], V[r], cost, radius[r], own)
        if radius[r] == np.inf:
            minimise(shared, G[r], C[r], V[r], cost, own)
        else:
            multiplier[r], _ = minimise_within(shared, G[r], C[r], V[r], cost, radius[r], own)


@kernel
def _start(shared, g, c, v, cost, radius, stop):
    """From the least-squares row where its objective is below that of zero, else down a path of alphas."""
    if len(shared.inverse) > 0:
        guess, product = np.zeros(len(v)), np.zeros(len(v))
        add_product(shared.inverse, guess, g)
        guess[cost.weights >= FORBIDDEN] = 0.0
        add_product(shared.H, product, guess)
        if np.dot(guess, 0.5 * product - g) + value(guess, cost) < 0.0:
            assign(v, guess)
            return
    # Coordinates enter as alpha falls, so that few are active too early and have to leave again.
    alpha = STAGE * np.max(np.abs(g))
    while alpha > max(cost.alpha, SMALLEST) and np.sum(cost.weights * np.abs(v)) <= radius:
        rough = Stop(ROUGH, 0.0, stop.sweeps)
        minimise(shared, g, c, v, Cost(alpha, cost.knee, cost.weights, 0.0), rough)
        alpha *= STAGE
