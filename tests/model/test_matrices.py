"""Matrices A, B, C, D as a model, and a model as its matrices."""

import numpy as np
import pytest

from sim_compress.activations import Activation
from sim_compress.errors import InputError
from sim_compress.model import from_matrices, matrices

# Biases are given in float64 and stored in float32.
ROUNDING = 1e-5


def test_given_matrices_make_a_model_that_unrolls_to_them():
    rng = np.random.default_rng(0)
    a, b, c, d = (rng.standard_normal(s).astype(np.float32) for s in ((4, 4), (4, 3), (2, 4), (2, 3)))
    bias, output_bias = rng.standard_normal(4), rng.standard_normal(2)
    model = from_matrices(a, b, c, d, Activation("tanh"), bias=bias, output_bias=output_bias)
    A, B, C, D = (M.toarray() for M in matrices(model))
    np.testing.assert_array_equal(A, a)
    np.testing.assert_allclose(B, np.column_stack([b, bias]), rtol=ROUNDING)
    np.testing.assert_array_equal(C, c)
    np.testing.assert_allclose(D, np.column_stack([d, output_bias]), rtol=ROUNDING)


def test_matrices_that_do_not_fit_together_are_refused():
    with pytest.raises(InputError, match=r"expected A \(n, n\)"):
        from_matrices(np.eye(3), np.eye(3), np.eye(2), np.eye(3), Activation("relu"))
