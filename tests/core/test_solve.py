"""The native solver against CLARABEL, then properties of every solution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import L1, Ball, Penalty, Status, solve
from tests.core.problems import clarabel_optimum, objective, row_problems

# Both solvers stop on a gap of 1e-8 or below; objectives are of order 0.1.
AGREEMENT = 1e-6
PENALTIES = [L1, Penalty(0.05), Penalty(0.5)]


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"knee {p.knee}")
@pytest.mark.parametrize("alpha", [0.1, 0.003])
@pytest.mark.parametrize("radius", [None, 0.3], ids=["free", "kappa active"])
@pytest.mark.parametrize("points", [400, 12], ids=["full rank", "rank deficient"])
def test_objective_agrees_with_clarabel(penalty, alpha, radius, points):
    problems = row_problems(points=points)
    ball = None
    if radius is not None:
        weights = np.random.default_rng(1).uniform(0.0, 1.0, problems.g.shape)
        ball = Ball(weights, np.full(problems.rows, radius))
    solution = solve(problems, penalty, alpha, ball=ball, tolerance=1e-8, sweeps=20_000)
    ours = objective(problems, penalty, alpha, solution.rows)
    for row in range(problems.rows):
        assert ours[row] == pytest.approx(
            clarabel_optimum(problems, penalty, alpha, row, ball), rel=AGREEMENT
        )
    assert set(solution.status) == {Status.OPTIMAL}


@given(
    seed=st.integers(0, 100),
    alpha=st.floats(1e-3, 1.0),
    knee=st.floats(0.01, 10.0) | st.just(np.inf),
    radius=st.floats(0.01, 2.0),
)
@settings(max_examples=60, deadline=None)
def test_solutions_are_feasible_and_within_their_gap(seed, alpha, knee, radius):
    problems, penalty = row_problems(seed=seed), Penalty(knee)
    ball = Ball(np.ones(problems.g.shape), np.full(problems.rows, radius))
    tight = solve(problems, penalty, alpha, ball=ball, tolerance=1e-9, sweeps=20_000)
    loose = solve(problems, penalty, alpha, ball=ball, tolerance=1e-2)
    assert np.all(np.abs(loose.rows).sum(axis=1) <= radius * (1 + 1e-12))
    excess = objective(problems, penalty, alpha, loose.rows) - objective(problems, penalty, alpha, tight.rows)
    assert np.all(excess <= loose.gap * problems.c + 1e-9)


def test_a_solution_has_true_zeros_and_none_at_a_vanishing_penalty():
    problems = row_problems()
    assert not solve(problems, L1, 1.1 * np.abs(problems.g).max()).rows.any()
    assert solve(problems, L1, 1e-9, tolerance=1e-9).support.all()


def test_a_row_does_not_depend_on_the_rows_beside_it():
    problems = row_problems(rows=3)
    from dataclasses import replace

    alone = replace(problems, g=problems.g[1:2], c=problems.c[1:2], prior=problems.prior[1:2])
    assert np.array_equal(solve(problems, L1, 0.05).rows[1:2], solve(alone, L1, 0.05).rows)


def test_too_few_sweeps_are_reported():
    solution = solve(row_problems(), L1, 1e-4, tolerance=1e-12, sweeps=1)
    assert Status.SWEEPS in solution.status
    assert solution.gap.max() > 1e-12


def test_a_constant_target_gives_a_row_of_zeros():
    problems = row_problems(rows=2)
    from dataclasses import replace

    flat = replace(problems, g=problems.g * [[0], [1]], c=problems.c * [0, 1])
    assert not solve(flat, L1, 0.01).rows[0].any()
