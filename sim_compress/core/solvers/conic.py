"""Row problems through cvxpy: any convex f and C, and the oracle for the native solver.

One cvxpy problem is compiled for a block. Interior points have no exact zeros: where the penalty is P, a
proximal step tells which entries are zero.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.problems import RowProblems
from sim_compress.core.solution import Ball, Solution, Status
from sim_compress.core.solvers.appraisal import appraise, unbounded
from sim_compress.core.solvers.backends import usable
from sim_compress.core.solvers.convex import Convex
from sim_compress.core.solvers.cost import Cost, shortfall
from sim_compress.core.solvers.exact import MATCHED, exact_targets, matched_solution

if TYPE_CHECKING:
    from sim_compress.core.solvers.row_model import Outcome

# An exact match may leave its ball by this part of the radius: scaling it back would miss the target.
OUTSIDE = 1e-6
FOUND = (Status.OPTIMAL, Status.INEXACT)


def solve(
    backend: str,
    problems: RowProblems,
    penalty: Penalty | Convex,
    alpha: float,
    *,
    ball: Ball | None = None,
    start: Matrix | None = None,
    tolerance: float = 1e-6,
) -> Solution:
    """Minimise every row's datafit + alpha f within C and the ball.

    Args:
        backend: a name of BACKENDS.
        problems, penalty, alpha, ball, tolerance: as for the native solver; f may be any `Convex`.
        start: not used, interior points find their own.

    Returns:
        Rows with their gaps; NaN for a `Convex`, whose conjugate nobody gave.

    Raises:
        InputError: f or C is not convex by cvxpy's rules.
        SolverError: the back end does not take this problem or has no licence.
        MissingExtraError: cvxpy or the back end is not installed.
    """
    del start
    found = usable(backend)
    import cvxpy as cp

    from sim_compress.core.solvers.row_model import row_model, solve_rows

    model = row_model(problems.features, penalty, ball)
    root, targets = _square_root(problems)
    seen = cp.Variable(len(root))
    equality = root @ model.v == seen
    fit = 0.5 * cp.sum_squares(seen) - model.g @ model.v
    problem = cp.Problem(cp.Minimize(fit + alpha * model.f), [*model.constraints, equality])
    outcome = solve_rows(problem, model, found, problems.g, tolerance, equality)
    if isinstance(penalty, Convex):
        return _uncertified(outcome)
    ball = unbounded(problems) if ball is None else ball
    V = _inside(ball, _with_zeros(problems, alpha, ball, outcome))
    bounds = _bounds(problems, penalty, alpha, ball, (root, targets), outcome)
    multiplier = outcome.multiplier
    solution = appraise(problems, penalty, alpha, ball, V, multiplier, tolerance, Status.INEXACT, bounds)
    return _with_failures(solution, outcome)


def match(
    backend: str,
    problems: RowProblems,
    penalty: Penalty | Convex,
    *,
    ball: Ball | None = None,
    tolerance: float = 1e-6,
) -> Solution:
    """The least f of every row that matches its target exactly, within C and the ball.

    Args, returns and raises as for `solve`; MISMATCH where no row in the constraints matches.
    """
    found = usable(backend)
    import cvxpy as cp

    from sim_compress.core.solvers.row_model import row_model, solve_rows

    model = row_model(problems.features, penalty, ball)
    basis, nearest, matched = exact_targets(problems)
    equality = basis.T @ model.v == basis.T @ model.g
    problem = cp.Problem(cp.Minimize(model.f), [*model.constraints, equality])
    outcome = solve_rows(problem, model, found, nearest, tolerance, equality)
    outcome = replace(
        outcome, status=tuple(Status.MISMATCH if s is Status.NO_ROOM else s for s in outcome.status)
    )
    if isinstance(penalty, Convex):
        return _uncertified(outcome).with_status(~matched, Status.MISMATCH)
    ball = unbounded(problems) if ball is None else ball
    price, multiplier = outcome.prices @ basis.T, outcome.multiplier
    V = _complementary(ball, outcome, price)
    solution = matched_solution(penalty, ball, V, multiplier, price, matched, tolerance, Status.INEXACT)
    # Some back ends call rows optimal that miss the target or leave the ball.
    astray = np.abs((V - nearest) @ basis).max(axis=1, initial=0.0) > np.sqrt(MATCHED)
    astray |= np.einsum("rj,rj->r", ball.weights, np.abs(V)) > (1 + OUTSIDE) * ball.radius
    solution = solution.with_status(astray & matched, Status.INEXACT)
    return _with_failures(solution, outcome)


def _square_root(problems: RowProblems) -> tuple[Matrix, Matrix]:
    """R with R'R = H, without the directions that H does not see, and y with R'y = g, (rows, rank)."""
    eigenvalues, Q = np.linalg.eigh(problems.H)
    seen = eigenvalues > len(Q) * np.finfo(float).eps * max(eigenvalues.max(initial=0.0), 0.0)
    root = np.sqrt(eigenvalues[seen])[:, None] * Q[:, seen].T
    return root, (problems.g @ Q[:, seen]) / np.sqrt(eigenvalues[seen])


def _bounds(
    problems: RowProblems,
    penalty: Penalty,
    alpha: float,
    ball: Ball,
    square: tuple[Matrix, Matrix],
    outcome: "Outcome",
) -> Matrix:
    """What the back end's own dual points prove to lie under the objectives, (rows,).

    An interior point's residual is wrong by the root of its gap, and a bound made of it by as much; the
    dual variables are not.
    """
    root, targets = square
    residual = outcome.prices - targets
    Q, inner = residual @ root, np.einsum("rk,rk->r", outcome.prices, residual)
    unseen = np.maximum(problems.c - np.einsum("rk,rk->r", targets, targets), 0.0)
    fit = np.einsum("rk,rk->r", residual, residual) + unseen
    bounds = np.zeros(problems.rows)
    for r, tau in enumerate(outcome.multiplier):
        cost = Cost(alpha, penalty.knee, ball.weights[r], float(tau))
        used = tau * ball.radius[r] if tau > 0 else 0.0
        bounds[r] = 0.5 * fit[r] - shortfall(Q[r], fit[r], inner[r], cost) - used
    return bounds


def _with_zeros(problems: RowProblems, alpha: float, ball: Ball, outcome: "Outcome") -> Matrix:
    """The rows with zeros where a proximal step in that coordinate gives zero."""
    V, curvature = outcome.rows, problems.H.diagonal()
    pull = np.abs(curvature * V - (V @ problems.H - problems.g))
    cost = outcome.multiplier[:, None] * ball.weights
    return np.where(pull > alpha + cost, V, 0.0)


def _complementary(ball: Ball, outcome: "Outcome", price: Matrix) -> Matrix:
    """The rows with zeros where the price of the match leaves more room than the entry is large.

    Of an entry and that room one is zero at the optimum, the other not; an interior point has both positive.
    """
    room = 1.0 + outcome.multiplier[:, None] * ball.weights - np.abs(price)
    largest = np.abs(outcome.rows).max(axis=1, initial=0.0)[:, None]
    return np.where(np.abs(outcome.rows) > largest * room, outcome.rows, 0.0)


def _inside(ball: Ball, V: Matrix) -> Matrix:
    """Rows scaled into the ball, which they leave by the back end's tolerance."""
    norms = np.einsum("rj,rj->r", ball.weights, np.abs(V))
    scale = np.divide(ball.radius, norms, out=np.ones_like(norms), where=norms > np.maximum(ball.radius, 0))
    return V * np.maximum(scale, 0.0)[:, None]


def _uncertified(outcome: "Outcome") -> Solution:
    return Solution(outcome.rows, outcome.multiplier, np.full(len(outcome.rows), np.nan), outcome.status)


def _with_failures(solution: Solution, outcome: "Outcome") -> Solution:
    """Statuses of rows the back end gave no values for, over those of the certificate."""
    for status in set(outcome.status) - set(FOUND):
        failed = np.array([s is status for s in outcome.status])
        solution = solution.with_status(failed, status)
    return solution
