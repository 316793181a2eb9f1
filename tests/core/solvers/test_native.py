"""The native solver: against CLARABEL, by the optimality conditions, and at its edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_compress.core import FORBIDDEN, L1, Ball, Gram, Penalty, RowProblems, Status, solve, standardise
from sim_compress.core.solvers import together
from sim_compress.core.solvers.minimiser import Stop
from tests.core.problems import (
    ball_of,
    clarabel_optimum,
    objective,
    real_problems,
    row_problems,
    some_rows,
)

# The gap each solver is asked for; objectives may then be apart by as much.
GAP = 1e-6
PENALTIES = [L1, Penalty(0.05), Penalty(0.5)]


def assert_optimal(problems: RowProblems, penalty: Penalty, alpha: float, ball: Ball | None) -> None:
    """The native rows are certified, in the ball and as good as CLARABEL's."""
    solution = solve(problems, penalty, alpha, ball=ball)
    assert set(solution.status) == {Status.OPTIMAL}
    if ball is not None:
        assert np.all((ball.weights * np.abs(solution.rows)).sum(axis=1) <= ball.radius * (1 + 1e-12))
    ours = objective(problems, penalty, alpha, solution.rows)
    for row in range(problems.rows):
        assert ours[row] == pytest.approx(clarabel_optimum(problems, penalty, alpha, row, ball), rel=GAP)


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"knee {p.knee}")
@pytest.mark.parametrize("alpha", [0.1, 0.003])
@pytest.mark.parametrize("radius", [None, 0.3], ids=["free", "kappa active"])
@pytest.mark.parametrize("points", [400, 12], ids=["full rank", "rank deficient"])
def test_objectives_agree_with_clarabel(penalty, alpha, radius, points):
    problems = row_problems(rows=3, points=points, damping=0.0 if points == 12 else 1e-3)
    assert_optimal(problems, penalty, alpha, None if radius is None else ball_of(problems, radius))


@pytest.mark.parametrize("radius", [None, 0.4], ids=["free", "kappa active"])
@pytest.mark.parametrize("penalty", [L1, Penalty(0.03)], ids=["l1", "perspective"])
def test_objectives_agree_with_clarabel_on_rows_of_the_shipped_network(penalty, radius):
    _, states = real_problems()
    assert_optimal(states, penalty, 0.01, None if radius is None else ball_of(states, radius))


def test_a_row_with_more_pixels_than_samples_agrees_with_clarabel():
    pixels, _ = real_problems()
    assert pixels.features > 512
    assert_optimal(some_rows(pixels, slice(1)), L1, 0.01, None)


@pytest.mark.parametrize("penalty", [L1, Penalty(0.05)], ids=["l1", "perspective"])
@pytest.mark.parametrize("radius", [None, 0.3, 3.0], ids=["free", "kappa binding", "kappa wide"])
def test_gaps_are_certified_near_interpolation_on_singular_grams(penalty, radius):
    problems = row_problems(features=60, points=12, damping=0.0)
    ball = None if radius is None else ball_of(problems, radius)
    for alpha in (1e-3, 1e-5):
        solution = solve(problems, penalty, alpha, ball=ball)
        assert set(solution.status) == {Status.OPTIMAL}
        assert solution.gap.max() <= GAP


@given(
    seed=st.integers(0, 100),
    alpha=st.floats(1e-4, 1.0),
    knee=st.floats(0.01, 10.0) | st.just(np.inf),
    radius=st.floats(0.01, 2.0) | st.just(np.inf),
)
@settings(max_examples=40, deadline=None)
def test_solutions_meet_the_optimality_conditions(seed, alpha, knee, radius):
    """-q_j in alpha dP(v_j) + tau ball_j d|v_j|, with tau zero inside the ball."""
    problems, penalty = row_problems(seed=seed, rows=2), Penalty(knee)
    ball = ball_of(problems, radius)
    solution = solve(problems, penalty, alpha, ball=ball, tolerance=1e-12)
    V, tau = solution.rows, solution.multiplier[:, None] * ball.weights
    pull = problems.g - V @ problems.H
    slope = alpha * np.maximum(np.abs(V) / knee, 1.0) + tau
    # A gap of 1e-12 leaves gradients wrong by its root.
    near = 1e-5
    assert np.all(np.abs(pull) <= slope + near)
    # A gap bounds what a coordinate pays for a wrong slope: its size times the difference.
    np.testing.assert_allclose(pull * V, slope * np.abs(V), atol=near)
    norms = (ball.weights * np.abs(V)).sum(axis=1)
    assert np.all(norms <= ball.radius * (1 + 1e-12))
    assert np.all((solution.multiplier == 0) | (norms >= ball.radius * (1 - 1e-4)))


@given(seed=st.integers(0, 100), alpha=st.floats(1e-3, 1.0), knee=st.floats(0.01, 1.0) | st.just(np.inf))
@settings(max_examples=40, deadline=None)
def test_the_gap_bounds_how_far_a_loose_solution_is_from_the_optimum(seed, alpha, knee):
    problems, penalty = row_problems(seed=seed), Penalty(knee)
    ball = ball_of(problems, 0.5)
    tight = solve(problems, penalty, alpha, ball=ball, tolerance=1e-10)
    loose = solve(problems, penalty, alpha, ball=ball, tolerance=0.1)
    reached = objective(problems, penalty, alpha, loose.rows)
    excess = reached - objective(problems, penalty, alpha, tight.rows)
    assert np.all(excess <= loose.gap * reached + 1e-9)


def test_a_solution_has_true_zeros_and_none_at_a_vanishing_penalty():
    problems = row_problems()
    assert not solve(problems, L1, 1.1 * np.abs(problems.g).max()).rows.any()
    assert solve(problems, L1, 1e-9, tolerance=1e-9).support.all()


def test_without_a_penalty_the_row_is_the_least_squares_one():
    problems = row_problems()
    solution = solve(problems, L1, 0.0)
    assert set(solution.status) == {Status.OPTIMAL}
    np.testing.assert_allclose(solution.rows, np.linalg.solve(problems.H, problems.g.T).T, atol=1e-6)


def test_a_ball_of_radius_zero_leaves_only_what_it_does_not_weigh():
    problems = row_problems()
    ball = ball_of(problems, 0.0)
    solution = solve(problems, L1, 0.01, ball=ball)
    assert set(solution.status) == {Status.OPTIMAL}
    assert not solution.rows[ball.weights > 0].any()
    assert solution.rows[ball.weights == 0].any()


def test_a_negative_radius_has_a_status_of_its_own():
    problems = row_problems(rows=2)
    ball = Ball(np.ones(problems.g.shape), np.array([-0.1, 0.5]))
    solution = solve(problems, L1, 0.01, ball=ball)
    assert solution.status == (Status.NO_ROOM, Status.OPTIMAL)
    assert not solution.rows[0].any()


def test_forbidden_features_stay_zero_and_the_rest_is_optimal_without_them():
    problems = row_problems()
    weights = np.zeros(problems.g.shape)
    weights[:, ::2] = FORBIDDEN
    ball = Ball(weights, np.full(problems.rows, 5.0))
    solution = solve(problems, L1, 0.01, ball=ball)
    assert set(solution.status) == {Status.OPTIMAL}
    assert not solution.rows[:, ::2].any()
    H, g = (np.ascontiguousarray(part) for part in (problems.H[1::2, 1::2], problems.g[:, 1::2]))
    alone = RowProblems(H, g, problems.c, g, *([np.ones(1)] * 4))
    np.testing.assert_allclose(solution.rows[:, 1::2], solve(alone, L1, 0.01).rows, atol=1e-5)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    problems = row_problems(rows=3)
    for alpha in (0.05, 1e-3):
        together, alone = (solve(p, L1, alpha).rows for p in (problems, some_rows(problems, slice(1, 2))))
        assert np.array_equal(together[1:2], alone)


def test_a_start_changes_the_way_and_not_the_optimum():
    problems = row_problems()
    cold = solve(problems, L1, 0.01, tolerance=1e-10)
    warm = solve(problems, L1, 0.01, tolerance=1e-10, start=solve(problems, L1, 0.02).rows)
    np.testing.assert_allclose(warm.rows, cold.rows, atol=1e-6)


def test_too_few_sweeps_are_reported():
    problems = row_problems(features=60, points=12, damping=0.0)
    solution = solve(problems, L1, 1e-4, tolerance=1e-12, sweeps=1)
    assert Status.SWEEPS in solution.status
    assert solution.gap.max() > 1e-12


def test_one_feature_has_the_soft_thresholded_row():
    problems = row_problems(features=1, rows=2)
    solution = solve(problems, L1, 0.1)
    expected = np.sign(problems.g) * np.maximum(np.abs(problems.g) - 0.1, 0) / problems.H
    np.testing.assert_allclose(solution.rows, expected, rtol=1e-9)


def test_no_rows_give_no_rows():
    solution = solve(some_rows(row_problems(), slice(0)), L1, 0.1)
    assert solution.rows.shape == (0, 24)
    assert solution.status == ()


def test_constant_targets_and_features_get_zeros():
    rng = np.random.default_rng(0)
    S, Z = rng.standard_normal((6, 50)), rng.standard_normal((2, 50))
    S[2], Z[1] = 3.0, -1.0
    gram = Gram.zeros(6, 2)
    gram.add(S, Z)
    solution = solve(standardise(gram, np.zeros((2, 6)), 0.0), L1, 1e-3)
    assert set(solution.status) == {Status.OPTIMAL}
    assert not solution.rows[1].any()
    assert not solution.rows[:, 2].any()


@pytest.mark.parametrize("penalty", [L1, Penalty(0.05)], ids=["l1", "perspective"])
@pytest.mark.parametrize("radius", [None, 0.5], ids=["free", "kappa active"])
@pytest.mark.parametrize("points", [400, 40], ids=["full rank", "rank deficient"])
@pytest.mark.parametrize("steps", [8, 1], ids=["done", "left to the rows"])
def test_wide_rows_that_move_together_end_where_each_ends_alone(penalty, radius, points, steps, monkeypatch):
    problems = row_problems(features=60, rows=70, points=points, damping=1e-2)
    ball = None if radius is None else ball_of(problems, radius)
    start = solve(problems, penalty, 0.001, tolerance=1e-2).rows
    alone = solve(problems, penalty, 0.02, ball=ball, start=start)
    monkeypatch.setattr(together, "FACTORS", -1)
    monkeypatch.setattr(together, "LEAST", -1)
    monkeypatch.setattr(together, "STEPS", steps)
    found = solve(problems, penalty, 0.02, ball=ball, start=start)
    assert set(found.status) == {Status.OPTIMAL}
    if ball is not None:
        assert np.all((ball.weights * np.abs(found.rows)).sum(axis=1) <= ball.radius * (1 + 1e-12))
    objectives = [objective(problems, penalty, 0.02, V) for V in (alone.rows, found.rows)]
    np.testing.assert_allclose(*objectives, rtol=2 * GAP)


def test_steps_of_all_rows_together_leave_few_rows_undone():
    problems = row_problems(features=60, rows=70, damping=1e-2)
    V, weights = problems.prior.copy(), np.zeros_like(problems.g)
    weights[:, 7] = FORBIDDEN
    V[:, 7] = 0.0
    together.advance(problems, L1, 0.02, weights, V, Stop(GAP, 0.0, 1000))
    assert not V[:, 7].any()
    allowed = Ball(weights, np.full(70, np.inf))
    best = objective(problems, L1, 0.02, solve(problems, L1, 0.02, ball=allowed).rows)
    np.testing.assert_allclose(objective(problems, L1, 0.02, V), best, rtol=1e-3)
    assert np.mean(objective(problems, L1, 0.02, V) <= best * (1 + 2 * GAP)) > 0.9
