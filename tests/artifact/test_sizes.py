"""Where the bytes of an artifact go."""

import math

import numpy as np
import pytest
from scipy import sparse

from sim_compress.artifact import encode, sizes
from sim_compress.certificate import certify
from sim_compress.model import Affine, ImplicitModel, Input, Output, Term, rounded, weight_shape

from .models import column, feedforward_model, weights


def layer(weight: sparse.csr_array) -> ImplicitModel:
    rows, columns = weight_shape(weight)
    affine = Affine((rows,), (Term("u", (), weight),), column(rows))
    return ImplicitModel((Input("u", (columns,)),), (), (Output("y", affine),))


def test_the_bound_is_the_entropy_of_the_support() -> None:
    weight = weights(40, 100, 0.25)
    part = weight.nnz / 4000
    entropy = -4000 * (part * math.log2(part) + (1 - part) * math.log2(1 - part)) / 8
    found = sizes(layer(weight))
    assert found.supports_bound == math.ceil(entropy)
    assert found.supports_bound <= found.supports < 1.05 * found.supports_bound
    assert found.values < found.values_plain == 4 * (weight.nnz + 40)


def test_a_dense_matrix_has_no_support_to_store() -> None:
    found = sizes(layer(weights(40, 100, 1.0)))
    assert found.supports == found.supports_bound == 0


def test_weights_in_half_precision_count_half_and_biases_whole() -> None:
    found = sizes(rounded(layer(weights(40, 100, 0.25)), "bfloat16"))
    biases = 40 * 4
    whole = sizes(layer(weights(40, 100, 0.25))).values_plain
    assert found.values_plain == (whole - biases) / 2 + biases


@pytest.mark.parametrize("model", [feedforward_model(), layer(weights(64, 576, 0.1))], ids=["many", "one"])
def test_the_parts_make_up_the_file_but_for_its_metadata(model: ImplicitModel) -> None:
    found, size = sizes(model), len(encode(model, certify(model), {}))
    assert found.supports + found.values < size < found.supports + found.values + 3000


def test_a_model_without_parameters_takes_nothing() -> None:
    empty = layer(sparse.csr_array(np.zeros((2, 3), np.float32)))
    assert sizes(empty).supports == sizes(empty).supports_bound == 0
