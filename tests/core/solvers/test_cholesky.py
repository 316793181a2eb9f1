"""The tiled Cholesky factor: numpy's on any order, dependent columns get no weight."""

import numpy as np
import pytest

from sim_compress.core.solvers.cholesky import scratch_size, solve_on, submatrix


def solved(H, index, b):
    U = submatrix(H, index, np.empty(scratch_size(len(H))))
    return solve_on(U, index, b)


@pytest.mark.parametrize("order", [0, 1, 3, 4, 5, 18, 33])
def test_solves_on_a_part_of_the_matrix_and_is_zero_elsewhere(order):
    rng = np.random.default_rng(order)
    R = rng.standard_normal((40, 40))
    H, b = R @ R.T / 40 + np.eye(40), rng.standard_normal(40)
    index = np.sort(rng.permutation(40)[:order])
    x = solved(H, index, b)
    np.testing.assert_allclose(x[index], np.linalg.solve(H[np.ix_(index, index)], b[index]), rtol=1e-10)
    assert not np.delete(x, index).any()


def test_a_column_that_depends_on_those_before_it_gets_no_weight():
    H = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(solved(H, np.arange(3), np.array([2.0, 2.0, 3.0])), [2, 0, 3], atol=1e-12)
