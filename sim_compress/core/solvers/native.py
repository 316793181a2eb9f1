"""The native solver: all rows of a block in parallel, each to its own duality gap.

Rows share H and, where it is well conditioned, its inverse; a row's result does not depend on the thread
that solves it nor on the rows beside it.
"""

import numpy as np
from scipy import linalg

from sim_compress.core.engines import one_blas_thread
from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.row_threads import over_rows
from sim_compress.core.solution import Ball, Solution, Status
from sim_compress.core.solvers import together
from sim_compress.core.solvers.appraisal import FLOOR, appraise, unbounded
from sim_compress.core.solvers.minimiser import Stop
from sim_compress.core.solvers.rows import UNPACKED, solve_rows

# With a larger condition number the inverse of H loses the digits that Newton steps need.
CONDITION = 1e7
# The inverse pays where the teacher's rows cost less than this part of c: most coordinates stay active then.
MANY = 0.2


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
    multiplier, stop = np.zeros(len(V)), Stop(tolerance, tolerance * FLOOR, sweeps)
    if together.pays(np.count_nonzero(V, axis=1), problems.features):
        together.advance(problems, penalty, alpha, ball.weights, V, stop)
    inverse = shared_inverse(problems.H) if _many_active(problems, penalty, alpha) else np.zeros((0, 0))
    over_rows(
        solve_rows,
        problems.rows,
        problems.H,
        inverse,
        problems.g,
        problems.c,
        V,
        np.array([alpha], float),
        penalty.knee,
        ball.weights,
        ball.radius,
        stop,
        multiplier,
        UNPACKED,
        True,
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
