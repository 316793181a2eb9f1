"""The paper's own problem: what is printed, solved as an oracle solves it, and nothing else done."""

from dataclasses import replace

import numpy as np
import pytest

from sim_compress import Paper, Settings, compress
from sim_compress.certificate import norm_bound, row_scaling
from sim_compress.compression.methods.paper import printed
from sim_compress.core import Ball, Gram, solve_certified
from sim_compress.core.solvers import conic
from sim_compress.errors import InputError

cvxpy = pytest.importorskip("cvxpy")
ROWS, FEATURES, SAMPLES = 6, 20, 60


def perspective(m: np.ndarray) -> np.ndarray:
    """(4) in closed form: min over t in [0, 1] of m^2/t + t."""
    return np.where(np.abs(m) <= 1, 2 * np.abs(m), m**2 + 1)


def data(scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States (features, samples), targets (rows, samples) of rows with a bias, and the rows."""
    rng = np.random.default_rng(0)
    S = scale * np.maximum(rng.standard_normal((FEATURES, SAMPLES)), 0)
    S[3] = 0
    M = rng.standard_normal((ROWS, FEATURES + 1)) * (rng.random((ROWS, FEATURES + 1)) < 0.7) / scale
    return S, M @ np.vstack([S, np.ones(SAMPLES)]), M


def objective(
    M: np.ndarray, S: np.ndarray, Z: np.ndarray, kind: str, weight: float, lam: float
) -> np.ndarray:
    """As printed, (rows,)."""
    penalty = perspective(M) if kind == "perspective" else np.abs(M)
    error = Z - M @ np.vstack([S, np.ones(S.shape[1])])
    return weight * penalty.sum(axis=1) + lam * (error**2).sum(axis=1)


def in_cvxpy(
    S: np.ndarray, z: np.ndarray, kind: str, weight: float, lam: float, kappa: float | None
) -> float:
    """The least objective of one row, from the printed formulas with t as a variable."""
    m, t = cvxpy.Variable(FEATURES + 1), cvxpy.Variable(FEATURES + 1)
    inside = [] if kappa is None else [cvxpy.norm1(m[:FEATURES]) <= kappa]
    if kind == "perspective":
        inside += [t >= 0, t <= 1]
        penalty = sum(cvxpy.quad_over_lin(m[j], t[j]) + t[j] for j in range(FEATURES + 1))
    else:
        penalty = cvxpy.norm1(m)
    error = z - np.vstack([S, np.ones(SAMPLES)]).T @ m
    problem = cvxpy.Problem(cvxpy.Minimize(weight * penalty + lam * cvxpy.sum_squares(error)), inside)
    return float(problem.solve(solver="CLARABEL"))


@pytest.mark.parametrize("kappa", [None, 0.8])
@pytest.mark.parametrize("kind", ["perspective", "l1"])
@pytest.mark.parametrize("weight", [1e-3, 3.0])
def test_the_native_solver_reaches_the_least_value_of_the_printed_objective(kind, weight, kappa):
    S, Z, M = data()
    lam = 0.1
    own = printed(Gram.of(S, Z), M, kind, weight / lam)
    p = own.problems
    if kappa is not None:
        unit = (
            np.outer(p.row_scale, np.append(np.where(p.feature_scale[:-1] > 0, 1, 0), 0))
            / p.feature_scale[-1]
        )
        own = replace(own, ball=Ball(unit, np.full(ROWS, kappa)))
    found = solve_certified(p, own.penalty, own.alpha, ball=own.ball)
    rows = found.rows * p.row_scale[:, None] / p.feature_scale[-1]
    least = [in_cvxpy(S, z, kind, weight, lam, kappa) for z in Z]
    np.testing.assert_allclose(objective(rows, S, Z, kind, weight, lam), least, rtol=1e-5)
    if kappa is not None:
        assert np.abs(rows[:, :-1]).sum(axis=1).max() <= kappa + 1e-9


@pytest.mark.parametrize("kind", ["perspective", "l1"])
@pytest.mark.parametrize("scale", [1e-2, 100.0])
def test_the_native_solver_and_clarabel_agree_whatever_the_unit(kind, scale):
    S, Z, M = data(scale)
    own = printed(Gram.of(S, Z), M, kind, 10.0)
    values = []
    for solve in (solve_certified, lambda *a: conic.solve("clarabel", *a)):
        found = solve(own.problems, own.penalty, own.alpha)
        values.append(
            own.problems.datafit(found.rows) + own.alpha * own.penalty.value(found.rows).sum(axis=1)
        )
    np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.parametrize("kind", ["perspective", "l1"])
def test_the_sparsity_is_what_comes_out_and_grows_with_the_weight(teacher, images, kind):
    found = [
        compress(teacher, images[:60], Settings(0.0, objective=kind, paper=Paper(weight=w))).sparsity
        for w in (0.03, 3.0)
    ]
    assert found[0] < found[1]


def test_rows_are_as_the_problem_gives_them_within_kappa(teacher, images):
    result = compress(teacher, images[:60], Settings(0.0, objective="l1", paper=Paper(weight=0.1), kappa=0.9))
    assert not result.findings
    assert result.tuning.epochs == 0
    scaling = row_scaling(teacher.model, 0.9, 2.0)
    assert norm_bound(result.model, scaling) <= 0.9 * (1 + 1e-6)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target_sparsity": 0.5}, "decides the sparsity"),
        ({"pattern": "block:1x4"}, "no pattern"),
        ({"tune": 3}, "leave tuning out"),
        ({"robust": 0.1}, "leave tuning out"),
        ({"allocation": "uniform"}, "would be ignored"),
    ],
)
def test_what_the_paper_has_no_place_for_is_refused(asked, words):
    with pytest.raises(InputError, match=words):
        Settings(**{"target_sparsity": 0.0, "paper": Paper(), **asked})


def test_hyper_parameters_are_above_zero():
    with pytest.raises(InputError, match="lambda2"):
        Paper(lambda2=0)
