"""The implicit model checks itself, counts tied rows once and unrolls to the paper's matrices."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, Sum, Term, matrices, weight_shape
from sim_compress.runtime import Session
from tests.networks import loop, picard_on_matrices, residual_network, weight

# Float32 states against float64 matrices.
ROUNDING = 1e-4


def test_picard_on_the_unrolled_matrices_equals_the_tied_runtime():
    model = residual_network()
    inputs = np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32)
    outputs = Session(model).predict(inputs)
    stacked = np.concatenate([outputs[o.name].reshape(5, -1) for o in model.outputs], axis=1).T
    np.testing.assert_allclose(stacked, picard_on_matrices(model, inputs), rtol=ROUNDING, atol=ROUNDING)


def test_picard_on_the_unrolled_matrices_equals_the_runtime_of_a_loop():
    model = loop(0.9)
    inputs = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    expected = picard_on_matrices(model, inputs, iterations=300)
    np.testing.assert_allclose(Session(model).predict(inputs)["y"].T, expected, rtol=ROUNDING, atol=ROUNDING)


def test_a_feed_forward_model_has_a_nilpotent_A():
    A, _, _, _ = matrices(residual_network())
    blocks = residual_network().blocks
    rows = np.cumsum([0, *(math.prod(b.affine.shape) for b in blocks)])
    columns = np.cumsum([0, *(math.prod(b.shape) for b in blocks)])
    # Not square, as one phi pools; block order alone makes it lower triangular by blocks.
    assert weight_shape(A) == (rows[-1], columns[-1])
    assert rows[-1] - columns[-1] == 6 * 2 * 2 - 6
    for i in range(len(blocks)):
        assert A[rows[i] : rows[i + 1], columns[i] :].nnz == 0


def test_tied_rows_and_biases_are_counted_once():
    model = residual_network()
    weights = [w for _, a in model.affines() for w in a.weights]
    biases = sum(len(a.bias) for _, a in model.affines() if a.bias is not None)
    assert model.nnz == sum(w.nnz for w in weights) + biases


def _with_term(term: Term) -> ImplicitModel:
    model = loop()
    affine = model.outputs[0].affine
    return replace(model, outputs=(replace(model.outputs[0], affine=replace(affine, terms=(term,))),))


@pytest.mark.parametrize(
    ("term", "message"),
    [
        (Term("nowhere", (), weight(2, 8)), "'nowhere'"),
        (Term("x", (), weight(2, 7)), r"weight \(2, 7\)"),
        (Term("x"), r"shape \(8,\)"),
        (Term("x", (), weight(2, 8), groups=3), "3 groups"),
        (Term("x", (Sum((0,)),), weight(2, 1)), r"features \(\)"),
    ],
)
def test_terms_that_do_not_fit_are_refused(term, message):
    with pytest.raises(InputError, match=message):
        _with_term(term)


def test_names_must_be_unique():
    model = loop()
    with pytest.raises(InputError, match=r"used twice: \['x'\]"):
        replace(model, outputs=(replace(model.outputs[0], name="x"),))


def test_a_bias_has_one_entry_for_each_row():
    model = loop()
    short = Affine((2,), model.outputs[0].affine.terms, np.zeros(3, np.float32))
    with pytest.raises(InputError, match="bias"):
        replace(model, outputs=(replace(model.outputs[0], affine=short),))
