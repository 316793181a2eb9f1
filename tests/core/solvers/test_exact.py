"""Exact matching: the least penalty among rows that reproduce the target, or a status that none does."""

import numpy as np
import pytest

from sim_compress.core import L1, Ball, Gram, Penalty, RowProblems, Status, standardise
from sim_compress.core.gram import Matrix
from sim_compress.core.solvers import exact
from sim_compress.states import open_teacher
from tests.core.problems import MODELS, clarabel_exact_optimum, row_problems

PENALTIES = [L1, Penalty(0.05), Penalty(0.5)]
# Relative gap asked of both solvers.
GAP = 1e-6
# Mismatch of an exact row, a part of c.
ROUNDING = 1e-12


def standardised(S: Matrix, W: Matrix, damping: float = 0.0) -> tuple[RowProblems, Matrix, Matrix]:
    """The problems of matching W S + 0.3, with the standardised design and targets."""
    gram = Gram.zeros(len(S), len(W))
    Z = W @ S + 0.3
    gram.add(S, Z)
    problems = standardise(gram, W, damping)
    d, t = problems.feature_scale[:, None], problems.row_scale[:, None]
    design = (S - problems.feature_mean[:, None]) / np.where(d > 0, d, 1.0)
    return problems, design, (Z - problems.row_mean[:, None]) / t


def few_points(
    features: int = 40, rows: int = 3, points: int = 15, damping: float = 0.0
) -> tuple[RowProblems, Matrix, Matrix, Matrix]:
    """Fewer points than features; with the standardised design and targets, and sparse teacher's rows."""
    rng = np.random.default_rng(0)
    S = np.maximum(rng.standard_normal((features, points)) + 0.2, 0)
    W = rng.standard_normal((rows, features)) * (rng.random((rows, features)) < 0.1)
    return *standardised(S, W, damping), W


@pytest.mark.parametrize("penalty", [L1, Penalty(0.05)], ids=lambda p: f"knee {p.knee}")
def test_real_rows_of_fewer_images_than_pixels_have_clarabels_penalty(penalty):
    block = open_teacher(MODELS / "fashion_mlp.onnx").model.blocks[0].affine
    images = np.load(MODELS / "fashion_mlp.calibration.npz")["images"][:24]
    S = images.reshape(24, -1).T.astype(np.float64)
    problems, design, targets = standardised(S, block.weights[0][:2].toarray().astype(np.float64))
    solution = exact.match(problems, penalty)
    assert set(solution.status) == {Status.OPTIMAL}
    varying = problems.feature_scale > 0
    for row in range(problems.rows):
        expected = clarabel_exact_optimum(design[varying], targets[row], penalty)
        assert penalty.value(solution.rows[row]).sum() == pytest.approx(expected, rel=GAP)


@pytest.mark.parametrize("penalty", PENALTIES, ids=lambda p: f"knee {p.knee}")
def test_the_penalty_is_clarabels_on_the_raw_samples(penalty):
    problems, design, targets, _ = few_points()
    solution = exact.match(problems, penalty)
    assert set(solution.status) == {Status.OPTIMAL}
    assert np.all(2 * problems.datafit(solution.rows) <= ROUNDING * problems.c)
    for row in range(problems.rows):
        expected = clarabel_exact_optimum(design, targets[row], penalty)
        assert penalty.value(solution.rows[row]).sum() == pytest.approx(expected, rel=GAP)


def test_kappa_binds_and_the_match_stays_exact():
    problems, design, targets, _ = few_points(rows=1)
    free = exact.match(problems, L1).rows
    weights = np.random.default_rng(1).uniform(0.0, 1.0, free.shape)
    ball = Ball(weights, 0.9 * (weights * np.abs(free)).sum(axis=1))
    solution = exact.match(problems, L1, ball=ball)
    assert set(solution.status) == {Status.OPTIMAL}
    assert (weights * np.abs(solution.rows)).sum() <= ball.radius[0] * (1 + GAP)
    assert 2 * problems.datafit(solution.rows)[0] <= ROUNDING
    expected = clarabel_exact_optimum(design, targets[0], L1, (weights[0], float(ball.radius[0])))
    assert np.abs(solution.rows).sum() == pytest.approx(expected, rel=1e-5)


def test_a_sparse_teacher_is_found_again_by_basis_pursuit():
    rng = np.random.default_rng(0)
    S, W = rng.standard_normal((60, 40)), np.zeros((1, 60))
    W[0, [3, 17, 44]] = 1.0, -2.0, 0.5
    gram = Gram.zeros(60, 1)
    gram.add(S, W @ S)
    weights, _ = (problems := standardise(gram, W, 0.0)).to_network(exact.match(problems, L1).rows)
    np.testing.assert_allclose(weights, W, atol=1e-8)


def test_a_damped_problem_has_only_the_teachers_row():
    problems, *_ = few_points(damping=0.1)
    solution = exact.match(problems, L1)
    assert set(solution.status) == {Status.OPTIMAL}
    np.testing.assert_allclose(solution.rows, problems.prior, atol=1e-8)


def test_a_target_outside_the_range_has_a_status_and_the_others_are_solved():
    problems = row_problems(points=400, damping=0.0)
    problems.g[0] = problems.H @ problems.prior[0]
    problems.c[0] = problems.g[0] @ problems.prior[0]
    solution = exact.match(problems, L1)
    assert solution.status == (Status.OPTIMAL, *[Status.MISMATCH] * 4)
    np.testing.assert_allclose(solution.rows[0], problems.prior[0], atol=1e-6)
    assert np.isinf(solution.gap[1:]).all()


def test_a_ball_too_small_for_a_match_has_a_status():
    problems, *_ = few_points()
    ball = Ball(np.ones(problems.g.shape), np.full(problems.rows, 1e-3))
    assert set(exact.match(problems, L1, ball=ball).status) == {Status.MISMATCH}
