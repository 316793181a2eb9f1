"""The conic back ends: the oracle of the native solver, named refusals where one cannot be used."""

import numpy as np
import pytest

from sim_compress.core import L1, Ball, Penalty, Status, solve
from sim_compress.core.solvers import NAMES, solver
from sim_compress.errors import InputError, SolverError
from tests.core.problems import objective, row_problems

# The relative duality gap both are asked for.
GAP = 1e-6
PENALTIES = [L1, Penalty(0.05)]


@pytest.mark.parametrize("penalty", PENALTIES, ids=["l1", "perspective"])
@pytest.mark.parametrize("radius", [None, 0.3], ids=["free", "kappa active"])
@pytest.mark.parametrize("points", [400, 12], ids=["full rank", "rank deficient"])
def test_clarabel_and_the_native_solver_agree(penalty, radius, points):
    problems = row_problems(points=points)
    ball = None if radius is None else Ball(np.ones(problems.g.shape), np.full(problems.rows, radius))
    conic = solver("clarabel").solve(problems, penalty, 0.01, ball=ball)
    native = solve(problems, penalty, 0.01, ball=ball)
    assert set(conic.status) == set(native.status) == {Status.OPTIMAL}
    np.testing.assert_allclose(
        objective(problems, penalty, 0.01, conic.rows),
        objective(problems, penalty, 0.01, native.rows),
        rtol=GAP,
    )


def test_exact_matching_finds_the_least_l1_row_that_reproduces_the_target():
    problems = row_problems(points=12, damping=0.0)
    for name in ("native", "clarabel"):
        solution = solver(name).match(problems, L1)
        assert set(solution.status) == {Status.OPTIMAL}
        # Float32-sized noise in H leaves a millionth of the target's second moment.
        assert np.all(2 * problems.datafit(solution.rows) <= 1e-5 * problems.c)
    sizes = [np.abs(solver(name).match(problems, L1).rows).sum(axis=1) for name in ("native", "clarabel")]
    np.testing.assert_allclose(*sizes, rtol=1e-4)


def test_a_target_that_no_row_matches_has_a_status_of_its_own():
    problems = row_problems(points=400, damping=0.0)
    assert set(solver("native").match(problems, L1).status) == {Status.MISMATCH}


def test_mosek_without_a_licence_says_where_it_looked_and_what_to_use(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MOSEKLM_LICENSE_FILE", raising=False)
    with pytest.raises(SolverError, match=r"MOSEKLM_LICENSE_FILE .*mosek\.lic; use the solver 'clarabel'"):
        solver("mosek")


def test_an_unknown_solver_is_refused_with_the_known_names():
    with pytest.raises(InputError, match=", ".join(NAMES)):
        solver("gurobi")
