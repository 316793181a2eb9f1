"""The conic back ends: certified like the native solver, any convex f and C, named refusals."""

import importlib.util

import cvxpy as cp
import numpy as np
import pytest

from sim_compress.core import FORBIDDEN, L1, Ball, Convex, Penalty, Status, solve, solver
from sim_compress.core.solvers import NAMES, exact
from sim_compress.errors import InputError, MissingExtraError, SolverError
from tests.core.problems import ball_of, objective, row_problems, some_rows

GAP = 1e-6
PERSPECTIVE = Penalty(0.05)
TAKEN = [("clarabel", L1), ("clarabel", PERSPECTIVE), ("scs", L1), ("scs", PERSPECTIVE), ("osqp", L1)]


@pytest.mark.parametrize(("name", "penalty"), TAKEN, ids=lambda v: getattr(v, "knee", v))
@pytest.mark.parametrize("radius", [None, 0.3], ids=["free", "kappa active"])
def test_back_ends_and_the_native_solver_agree(name, penalty, radius):
    problems = row_problems(rows=2)
    ball = None if radius is None else ball_of(problems, radius)
    conic = solver(name).solve(problems, penalty, 0.01, ball=ball)
    native = solve(problems, penalty, 0.01, ball=ball)
    assert set(conic.status) == {Status.OPTIMAL}
    assert np.array_equal(conic.support, native.support)
    ours, theirs = (objective(problems, penalty, 0.01, s.rows) for s in (native, conic))
    np.testing.assert_allclose(theirs, ours, rtol=GAP)
    np.testing.assert_allclose(conic.multiplier, native.multiplier, atol=1e-4)


@pytest.mark.parametrize("penalty", [L1, PERSPECTIVE], ids=["l1", "perspective"])
def test_clarabel_matches_exactly_as_the_native_solver_does(penalty):
    problems = row_problems(points=12, damping=0.0)
    conic, native = solver("clarabel").match(problems, penalty), exact.match(problems, penalty)
    assert set(conic.status) == set(native.status) == {Status.OPTIMAL}
    sizes = [penalty.value(s.rows).sum(axis=1) for s in (conic, native)]
    np.testing.assert_allclose(*sizes, rtol=GAP)


def test_no_exact_match_in_the_ball_has_the_same_status_as_the_native_solvers():
    problems = row_problems(points=12, damping=0.0)
    ball = ball_of(problems, 1e-3)
    assert (
        solver("clarabel").match(problems, L1, ball=ball).status
        == exact.match(problems, L1, ball=ball).status
    )


def test_forbidden_features_stay_zero():
    problems = row_problems(rows=1)
    weights = np.ones(problems.g.shape)
    weights[:, :10] = FORBIDDEN
    ball = Ball(weights, np.full(1, 0.5))
    conic, native = (solver(n).solve(problems, L1, 0.01, ball=ball) for n in ("clarabel", "native"))
    assert not conic.rows[:, :10].any()
    np.testing.assert_allclose(conic.rows, native.rows, atol=1e-5)


def test_any_convex_f_and_constraint_set_can_be_given():
    problems = row_problems(rows=2)
    ridge = solver("clarabel").solve(problems, Convex(lambda v: cp.sum_squares(v) / 2), 0.1)
    expected = np.linalg.solve(problems.H + 0.1 * np.eye(24), problems.g.T).T
    np.testing.assert_allclose(ridge.rows, expected, atol=1e-6)
    assert np.isnan(ridge.gap).all()
    signs = Convex(cp.norm1, lambda v: [v >= 0, cp.sum(v) == 0.7])
    bounded = solver("clarabel").solve(problems, signs, 0.1)
    assert set(bounded.status) == {Status.OPTIMAL}
    assert bounded.rows.min() >= -1e-8
    np.testing.assert_allclose(bounded.rows.sum(axis=1), 0.7, atol=1e-7)


def test_an_empty_constraint_set_and_an_exact_match_outside_it_have_statuses():
    problems = row_problems(rows=1, points=12, damping=0.0)
    nowhere = Convex(cp.norm1, lambda v: [v >= 1, v <= -1])
    assert solver("clarabel").solve(problems, nowhere, 0.1).status == (Status.NO_ROOM,)
    tiny = Convex(cp.norm1, lambda v: [cp.norm_inf(v) <= 1e-4])
    assert solver("clarabel").match(problems, tiny).status == (Status.MISMATCH,)


def test_an_f_that_is_not_convex_is_refused():
    with pytest.raises(InputError, match="f must be a convex scalar"):
        solver("clarabel").solve(row_problems(rows=1), Convex(lambda v: -cp.sum_squares(v)), 0.1)


@pytest.mark.parametrize("C", [lambda v: [cp.sum_squares(v) >= 1], lambda _: [True]], ids=["ring", "bool"])
def test_a_constraint_set_that_is_not_convex_is_refused(C):
    with pytest.raises(InputError, match="C must hold constraints"):
        solver("clarabel").solve(row_problems(rows=1), Convex(cp.norm1, C), 0.1)


def test_osqp_refuses_the_perspective_and_says_what_to_use():
    with pytest.raises(SolverError, match=r"OSQP solves quadratic programs.*use the solver 'clarabel'"):
        solver("osqp").solve(row_problems(rows=1), PERSPECTIVE, 0.1)


def test_no_rows_give_no_rows():
    nothing = some_rows(row_problems(), slice(0))
    assert solver("clarabel").solve(nothing, L1, 0.1).rows.shape == (0, 24)


def test_without_cvxpy_the_message_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"'clarabel'.*pip install 'sim-compress\[conic\]'"):
        solver("clarabel")


def test_an_unknown_solver_is_refused_with_the_known_names():
    with pytest.raises(InputError, match=", ".join(NAMES)):
        solver("gurobi")
