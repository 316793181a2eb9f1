"""Row problems for tests, and their oracle: CLARABEL through cvxpy on the same objective."""

import cvxpy as cp
import numpy as np

from sim_compress.core import Ball, Gram, Penalty, RowProblems, standardise
from sim_compress.core.gram import Matrix


def row_problems(
    features: int = 24, rows: int = 5, points: int = 400, damping: float = 1e-3, seed: int = 0
) -> RowProblems:
    """Correlated non-negative features, as patches of ReLU states are, and noisy targets."""
    rng = np.random.default_rng(seed)
    mix = rng.standard_normal((features, features)) / np.sqrt(features)
    S = np.maximum(mix @ rng.standard_normal((features, points)) + 0.3, 0)
    W = rng.standard_normal((rows, features))
    gram = Gram.zeros(features, rows)
    gram.add(S, W @ S + 0.5 + 0.1 * rng.standard_normal((rows, points)))
    return standardise(gram, W, damping)


def objective(problems: RowProblems, penalty: Penalty, alpha: float, V: Matrix) -> Matrix:
    """Objective of each row, (rows,)."""
    return problems.datafit(V) + alpha * penalty.value(V).sum(axis=1)


def clarabel_optimum(
    problems: RowProblems, penalty: Penalty, alpha: float, row: int, ball: Ball | None = None
) -> float:
    """Optimal objective of one row from the paper's conic form of the perspective, w^2/t + t."""
    v = cp.Variable(problems.features)
    constraints = []
    if np.isinf(penalty.knee):
        P = cp.norm1(v)
    else:
        t = cp.Variable(problems.features)
        terms = [cp.quad_over_lin(v[j], t[j]) for j in range(problems.features)]
        P = cp.sum(cp.hstack(terms)) / (2 * penalty.knee) + penalty.knee * cp.sum(t) / 2
        constraints.append(t <= 1)
    if ball is not None:
        constraints.append(ball.weights[row] @ cp.abs(v) <= ball.radius[row])
    values, Q = np.linalg.eigh(problems.H)
    root = np.sqrt(np.maximum(values, 0))[:, None] * Q.T
    fit = 0.5 * cp.sum_squares(root @ v) - problems.g[row] @ v + 0.5 * problems.c[row]
    problem = cp.Problem(cp.Minimize(fit + alpha * P), constraints)
    problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(np.asarray(problem.value))
