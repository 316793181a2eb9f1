"""One cvxpy problem for all rows of a block: what differs between rows is a parameter."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import cvxpy as cp
import numpy as np

from sim_compress.core.gram import Matrix
from sim_compress.core.penalties import Penalty
from sim_compress.core.solution import FORBIDDEN, Ball, Status
from sim_compress.core.solvers.backends import Backend, inner_tolerance
from sim_compress.core.solvers.convex import Convex
from sim_compress.errors import InputError, SolverError

STATUSES = {
    cp.OPTIMAL: Status.OPTIMAL,
    cp.OPTIMAL_INACCURATE: Status.INEXACT,
    cp.USER_LIMIT: Status.INEXACT,
    cp.INFEASIBLE: Status.NO_ROOM,
    cp.INFEASIBLE_INACCURATE: Status.NO_ROOM,
}


@dataclass(frozen=True)
class RowModel:
    """Variable, parameters, penalty and constraints of one row.

    Attributes:
        v: the row, (features,).
        g: parameter of the target, (features,).
        f: the penalty of v.
        constraints: C, what the penalty needs, and the ball.
        inside: the ball.
    """

    v: cp.Variable
    g: cp.Parameter
    f: cp.Expression
    constraints: list[cp.Constraint]
    inside: "BallModel | None"


@dataclass(frozen=True)
class BallModel:
    """A block's ball as one constraint; every row is divided by its largest weight.

    Attributes:
        ball: the weights and radii of all rows.
        weights, radius: parameters of one row.
        allowed: parameter, one where the row may be nonzero.
        constraint: sum of weights |v| <= radius.
    """

    ball: Ball
    weights: cp.Parameter
    radius: cp.Parameter
    allowed: cp.Parameter
    constraint: cp.Constraint

    def set_row(self, row: int) -> float:
        """Put one row's ball into the parameters; the number it was divided by."""
        allowed = self.ball.weights[row] < FORBIDDEN
        weights = np.where(allowed, self.ball.weights[row], 0.0)
        largest = float(weights.max(initial=0.0)) or 1.0
        self.allowed.value = allowed.astype(float)
        if not np.isfinite(self.ball.radius[row]):
            self.weights.value, self.radius.value = np.zeros_like(weights), 1.0
            return 1.0
        self.weights.value = weights / largest
        self.radius.value = self.ball.radius[row] / largest
        return largest


def row_model(features: int, penalty: Penalty | Convex, ball: Ball | None) -> RowModel:
    """The model of a block's rows.

    Raises:
        InputError: f is not convex or a constraint not a convex set, by cvxpy's rules.
    """
    v, g = cp.Variable(features), cp.Parameter(features)
    if isinstance(penalty, Convex):
        f, constraints = _written(v, penalty)
    else:
        f, constraints = _perspective(v, penalty)
    inside = None
    if ball is not None:
        inside = _ball_model(v, ball)
        constraints += [inside.constraint, cp.multiply(1 - inside.allowed, v) == 0]
    return RowModel(v, g, f, constraints, inside)


def _written(v: cp.Variable, penalty: Convex) -> tuple[cp.Expression, list[cp.Constraint]]:
    """What the user wrote, where cvxpy can tell that it is convex."""
    f, given = penalty.f(v), penalty.C(v)
    if not isinstance(f, cp.Expression) or not f.is_convex() or not f.is_scalar():
        raise InputError(f"f must be a convex scalar by cvxpy's rules (cvxpy.org/tutorial/dcp); got {f}")
    constraints = [c for c in given if isinstance(c, cp.Constraint)]
    for constraint in given:
        if not isinstance(constraint, cp.Constraint) or not constraint.is_dcp():
            raise InputError(f"C must hold constraints that are convex by cvxpy's rules; got {constraint}")
    return f, constraints


def _perspective(v: cp.Variable, penalty: Penalty) -> tuple[cp.Expression, list[cp.Constraint]]:
    """Equation (4) as printed, with its t: (sum of v^2 / t / knee + knee t) / 2 over 0 <= t <= 1."""
    if np.isinf(penalty.knee):
        return cp.norm1(v), []
    t, s = cp.Variable(v.shape), cp.Variable(v.shape)
    # s t >= v^2 is the second-order cone |(2 v, s - t)| <= s + t.
    cones = cp.SOC(s + t, cp.vstack([2 * v, s - t]), axis=0)
    f = cast("cp.Expression", cp.sum(s / (2 * penalty.knee) + penalty.knee / 2 * t))
    return f, [cones, t <= 1]


def _ball_model(v: cp.Variable, ball: Ball) -> BallModel:
    weights, allowed = cp.Parameter(v.shape, nonneg=True), cp.Parameter(v.shape, nonneg=True)
    radius = cp.Parameter()
    return BallModel(ball, weights, radius, allowed, weights @ cp.abs(v) <= radius)


@dataclass(frozen=True)
class Outcome:
    """What the back end gave, before it is certified.

    Attributes:
        rows, multiplier, status: of every row; zeros where it gave nothing.
        prices: duals of the equality, one row each; empty without one.
    """

    rows: Matrix
    multiplier: Matrix
    status: tuple[Status, ...]
    prices: Matrix


def solve_rows(
    problem: cp.Problem,
    model: RowModel,
    backend: Backend,
    targets: Matrix,
    tolerance: float,
    equality: cp.Constraint | None = None,
) -> Outcome:
    """Solve the problem for every row of targets.

    Raises:
        SolverError: the back end does not take such a problem.
    """
    if not backend.cones and not problem.is_qp():
        raise SolverError(
            f"{backend.name} solves quadratic programs; this penalty or constraint needs second-order cones: "
            "use the solver 'clarabel', or the l1 objective"
        )
    rows, multiplier = np.zeros_like(targets), np.zeros(len(targets))
    prices = np.zeros((len(targets), equality.size if equality is not None else 0))
    status: list[Status] = []
    options = backend.options(inner_tolerance(tolerance))
    for r, target in enumerate(targets):
        model.g.value = target
        scale = model.inside.set_row(r) if model.inside is not None else 1.0
        status.append(_solve(problem, backend, options))
        if status[-1] in (Status.OPTIMAL, Status.INEXACT):
            rows[r] = model.v.value
            if model.inside is not None:
                multiplier[r] = (
                    max(float(np.max(np.asarray(model.inside.constraint.dual_value))), 0.0) / scale
                )
            if equality is not None:
                prices[r] = equality.dual_value
    return Outcome(rows, multiplier, tuple(status), prices)


def _solve(problem: cp.Problem, backend: Backend, options: Mapping[str, object]) -> Status:
    """One solve; what cvxpy would warn of is in the status.

    Raises:
        SolverError: the back end itself gave up, as where its licence has ended.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            problem.solve(solver=backend.name, **options)
        except cp.SolverError:
            return Status.FAILED
        except backend.errors() as error:
            raise SolverError(
                f"{backend.name} stopped in the middle of the work: {' '.join(str(error).split())}; "
                "use the solver 'clarabel' or 'native'"
            ) from error
    return STATUSES.get(problem.status, Status.FAILED)
