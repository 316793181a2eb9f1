"""Wide rows that move together: they end where each ends alone."""

import numpy as np
import pytest

from sim_compress.core import FORBIDDEN, L1, Ball, Penalty, Status, solve
from sim_compress.core.solvers import together
from sim_compress.core.solvers.minimiser import Stop
from tests.core.problems import ball_of, objective, row_problems

# The gap that is asked for; objectives may then be apart by as much.
GAP = 1e-6


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
