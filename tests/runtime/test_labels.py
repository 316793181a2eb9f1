"""Evaluation data that do not fit are refused before any work; fitting data have one hash."""

import numpy as np
import pytest

from sim_compress.errors import DataError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Term
from sim_compress.runtime import check_labels, check_samples, digest
from tests.networks import residual_network, weight

EXPECTED = (Input("u", (2, 3)), Input("v", (4,)))


def pair(samples: int = 5) -> dict[str, np.ndarray]:
    return {"u": np.ones((samples, 2, 3), np.uint8), "v": np.ones((samples, 4))}


def test_the_number_of_samples_is_counted():
    assert check_samples(EXPECTED, pair(7)) == 7


BAD = {
    "another name": ({"u": pair()["u"], "w": pair()["v"]}, r"\['u', 'v'\], got \['u', 'w'\]"),
    "another shape": ({**pair(), "u": np.ones((5, 3, 2))}, r"\('samples', 2, 3\), got \(5, 3, 2\)"),
    "another dtype": ({**pair(), "v": np.full((5, 4), "a")}, "float32 numbers"),
    "fewer samples": ({**pair(), "v": np.ones((4, 4))}, r"number of samples: \{'u': 5, 'v': 4\}"),
    "no samples": (pair(0), "holds no samples"),
    "NaN": ({**pair(), "v": np.diag([1, 1, 1, np.nan])[[0, 1, 2, 3, 0]]}, "'v': sample 3 holds NaN"),
}


@pytest.mark.parametrize("case", BAD)
def test_data_that_do_not_fit_are_refused(case):
    data, words = BAD[case]
    with pytest.raises(DataError, match=words):
        check_samples(EXPECTED, data)


def scorer(*rows: int) -> ImplicitModel:
    outputs = tuple(Output(f"y{i}", Affine((r,), (Term("u", (), weight(r, 4)),))) for i, r in enumerate(rows))
    return ImplicitModel((Input("u", (4,)),), (), outputs)


def test_labels_belong_to_the_one_output_with_scores():
    assert check_labels(scorer(1, 3), np.array([0, 2]), 2) == "y1"


@pytest.mark.parametrize(
    ("model", "labels", "words"),
    [
        (scorer(1), [0, 0], "has 0 of them among y0"),
        (scorer(3, 3), [0, 0], "has 2 of them among y0, y1"),
        (residual_network(), [0, 0], "has 2 of them"),
        (scorer(3), [0, 3], "label 3 of sample 1"),
        (scorer(3), [-1, 0], "label -1 of sample 0"),
        (scorer(3), [0, 0, 0], r"shape \(2,\), .*got int64 of shape \(3,\)"),
        (scorer(3), [0.0, 1.0], "got float64"),
        (scorer(3), [[0], [1]], r"of shape \(2, 1\): give labels\[:, 0\]"),
        (scorer(3), [1, 3], r"label 3 of sample 1 .*labels look counted from 1, give labels - 1"),
        (scorer(3), [0, 7], r"counted from 0$"),
        (scorer(3), [0.0, 2.0], r"they are whole, give labels\.astype\(int\)"),
        (scorer(3), [0.5, 2.0], r"got float64 of shape \(2,\)$"),
        (scorer(3), [True, False], r"got bool .*give labels\.astype\(int\)"),
        (scorer(3), [[0, 1, 0], [1, 0, 0]], r"look one-hot, give labels\.argmax\(axis=1\)"),
        (scorer(3), [[0.1, 0.2, 0.7], [1, 0, 0]], r"look like scores, give labels\.argmax\(axis=1\)"),
        (scorer(3), ["cat", "dog"], r"got <U3 of shape \(2,\)$"),
    ],
)
def test_labels_that_name_no_class_are_refused(model, labels, words):
    with pytest.raises(DataError, match=words):
        check_labels(model, np.array(labels), 2)


def test_the_hash_is_of_what_the_model_sees():
    expected = (Input("u", (3,)),)
    data = np.random.default_rng(0).integers(0, 255, (1000, 3))
    found = digest(expected, {"u": data.astype(np.uint8)})
    assert found == digest(expected, {"u": data.astype(np.float64)})
    assert found != digest(expected, {"u": data[::-1].astype(np.uint8)})
    assert found != digest((Input("v", (3,)),), {"v": data.astype(np.uint8)})
