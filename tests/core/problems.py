"""Row problems for tests, and oracles that share no code with the solvers: the paper's forms in CLARABEL."""

import warnings
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import cvxpy as cp
import numpy as np

from sim_compress.core import Ball, Gram, Penalty, RowProblems, standardise
from sim_compress.core.gram import Matrix

MODELS = Path(__file__).parents[2] / "models"


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


def some_rows(problems: RowProblems, rows: slice) -> RowProblems:
    """The problems of some rows alone."""
    fields = ("g", "c", "prior", "row_scale", "row_mean")
    return replace(problems, **{name: getattr(problems, name)[rows] for name in fields})


@cache
def real_problems(samples: int = 512, rows: int = 6) -> tuple[RowProblems, ...]:
    """Row problems of the first rows of the shipped MLP's first two blocks, damped as the pipeline does.

    784 pixels and fewer samples than features, or as many; then 64 states.
    """
    from sim_compress.states import baseline_grams, open_teacher, row_groups, teacher_rows
    from tests.workers import WORKERS

    teacher = open_teacher(MODELS / "fashion_mlp.onnx")
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:samples]
    affines = dict(teacher.model.affines()[:2])
    (name,) = (i.name for i in teacher.model.inputs)
    grams = baseline_grams(teacher, affines, {name: images.astype(np.float32)}, WORKERS, lambda _: None)
    found = []
    for block, affine in affines.items():
        (group,) = row_groups(affine)
        damping = 0.1 * group.width / samples
        problems = standardise(grams[block][0], teacher_rows(affine, group), damping)
        found.append(some_rows(problems, slice(rows)))
    return tuple(found)


def ball_of(problems: RowProblems, radius: float, seed: int = 1) -> Ball:
    """A ball that weighs three quarters of the features; the others read inputs."""
    weights = np.random.default_rng(seed).uniform(0.1, 1.0, problems.g.shape)
    weights[:, : problems.features // 4] = 0.0
    return Ball(weights, np.full(problems.rows, radius))


def objective(problems: RowProblems, penalty: Penalty, alpha: float, V: Matrix) -> Matrix:
    """Objective of each row, (rows,)."""
    return problems.datafit(V) + alpha * penalty.value(V).sum(axis=1)


def clarabel_optimum(
    problems: RowProblems, penalty: Penalty, alpha: float, row: int, ball: Ball | None = None
) -> float:
    """Optimal objective of one row from the paper's conic form of the perspective, w^2/t + t."""
    v = cp.Variable(problems.features)
    P, constraints = _printed(v, penalty)
    if ball is not None:
        constraints.append(ball.weights[row] @ cp.abs(v) <= ball.radius[row])
    values, Q = np.linalg.eigh(problems.H)
    root = np.sqrt(np.maximum(values, 0))[:, None] * Q.T
    fit = 0.5 * cp.sum_squares(root @ v) - problems.g[row] @ v + 0.5 * problems.c[row]
    return _least(cp.Problem(cp.Minimize(fit + alpha * P), constraints))


def clarabel_exact_optimum(
    design: Matrix, target: Matrix, penalty: Penalty, ball_row: tuple[Matrix, float] | None = None
) -> float:
    """Least penalty of a row that maps a design (features, points) onto a target (points,)."""
    v = cp.Variable(len(design))
    P, constraints = _printed(v, penalty)
    constraints.append(design.T @ v == target)
    if ball_row is not None:
        constraints.append(ball_row[0] @ cp.abs(v) <= ball_row[1])
    return _least(cp.Problem(cp.Minimize(P), constraints))


def _printed(v: cp.Variable, penalty: Penalty) -> tuple[cp.Expression, list[cp.Constraint]]:
    """The penalty as the paper prints it, entry by entry."""
    if np.isinf(penalty.knee):
        return cp.norm1(v), []
    t = cp.Variable(v.shape)
    terms = [cp.quad_over_lin(v[j], t[j]) for j in range(v.size)]
    P = cp.sum(cp.hstack(terms)) / (2 * penalty.knee) + penalty.knee * cp.sum(t) / 2
    return cast("cp.Expression", P), [t <= 1]


def _least(problem: cp.Problem) -> float:
    with warnings.catch_warnings():
        # On the larger problems it stops above 1e-10 and says so; the tests compare to 1e-6.
        warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
        problem.solve(solver="CLARABEL", tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    assert problem.value is not None, problem.status
    return float(np.asarray(problem.value))
