"""The counted fallback: rows the native solver leaves are solved again, and say so."""

import importlib.util

import numpy as np

from sim_compress.core import L1, Status, solve, solve_certified
from tests.core.problems import ball_of, row_problems

# One sweep leaves hard rows far from optimal.
HARD = {"alpha": 1e-3, "sweeps": 1}


def test_rows_left_by_the_native_solver_are_solved_by_clarabel_and_counted():
    problems = row_problems(features=60, points=30, damping=1e-3)
    ball = ball_of(problems, 1.0)
    native = solve(problems, L1, ball=ball, **HARD)
    solution = solve_certified(problems, L1, ball=ball, **HARD)
    assert native.count(Status.SWEEPS) > 0
    assert solution.count(Status.FALLBACK) == native.count(Status.SWEEPS)
    assert solution.gap.max() <= 1e-6
    kept = np.array([s is Status.OPTIMAL for s in native.status])
    assert np.array_equal(solution.rows[kept], native.rows[kept])


def test_nothing_falls_back_where_the_native_solver_reaches_the_gap():
    solution = solve_certified(row_problems(), L1, 0.01)
    assert solution.count(Status.OPTIMAL) == 5


def test_without_cvxpy_the_native_rows_keep_their_status(monkeypatch):
    problems = row_problems(features=60, points=30, damping=1e-3)
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    solution = solve_certified(problems, L1, **HARD)
    native = solve(problems, L1, **HARD)
    assert solution.status == native.status
    assert np.array_equal(solution.rows, native.rows)
