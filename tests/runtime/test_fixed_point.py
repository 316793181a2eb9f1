"""Fixed points: each sample stops by itself, slow contractions are mixed, failures are marked."""

import numpy as np
import pytest

from sim_compress.errors import ConvergenceError
from sim_compress.runtime import Convergence, Tolerance
from sim_compress.runtime.fixed_point import solve

TIGHT = Tolerance(residual=1e-6, iterations=500)


def contraction(norm: float, samples: int, size: int = 12):
    """x -> A x + b with spectral radius `norm`, and its fixed point."""
    rng = np.random.default_rng(0)
    Q, _ = np.linalg.qr(rng.standard_normal((size, size)))
    A = norm * Q @ np.diag(np.linspace(0.2, 1, size)) @ Q.T
    b = rng.standard_normal((size, samples))
    return lambda x: (A @ x + b).astype(np.float32), np.linalg.solve(np.eye(size) - A, b)


def test_a_fast_contraction_is_iterated_plainly():
    step, expected = contraction(0.3, 4)
    found, convergence = solve(step, 12, 4, TIGHT)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert convergence.converged.all()


def test_a_slow_contraction_takes_far_fewer_iterations_than_picard():
    # Picard needs ln(1e6) / -ln(0.99) = 1375 iterations.
    step, expected = contraction(0.99, 3)
    found, convergence = solve(step, 12, 3, TIGHT)
    assert convergence.converged.all()
    assert convergence.iterations.max() < 150
    np.testing.assert_allclose(found, expected, rtol=1e-2, atol=1e-2)


def test_a_sample_does_not_depend_on_the_others():
    step, _ = contraction(0.9, 5)
    found, convergence = solve(step, 12, 5, TIGHT)
    for n in range(5):
        alone, own = solve(lambda x, n=n: step(np.repeat(x, 5, axis=1))[:, n : n + 1], 12, 1, TIGHT)
        # The small least-squares problems are solved in another order of rounding.
        np.testing.assert_allclose(alone[:, 0], found[:, n], rtol=1e-4, atol=1e-4)
        assert abs(int(own.iterations[0]) - int(convergence.iterations[n])) <= 2


def test_samples_that_do_not_converge_are_marked_and_the_others_are_not():
    def step(x):
        return np.stack([0.5 * x[:, 0] + 1, -x[:, 1] + 1, x[:, 2] + np.nan], axis=1).astype(np.float32)

    _, convergence = solve(step, 2, 3, Tolerance(residual=1e-6, iterations=9))
    assert not convergence.converged[1:].any()
    with pytest.raises(ConvergenceError, match="of 3 samples"):
        convergence.check(TIGHT)


def test_two_loops_count_as_their_worse_one():
    one = Convergence(np.array([3, 9]), np.array([0.1, 0.2], np.float32), np.array([True, False]))
    two = Convergence(np.array([5, 1]), np.array([0.3, 0.1], np.float32), np.array([True, True]))
    both = one.joined(two)
    np.testing.assert_array_equal(both.iterations, [5, 9])
    np.testing.assert_array_equal(both.converged, [True, False])
    assert one.joined(None) is one
