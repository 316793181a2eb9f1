"""What is said of features that do not vary: of states and of tables any, of an image only where most are."""

import numpy as np
import pytest
from scipy import sparse

from sim_compress.compression.appraisal.unvaried import unvaried
from sim_compress.core import Gram
from sim_compress.model import Affine, Term


def notes(width: int, constant: int, source: str = "x", *, damped: bool = True) -> tuple[str, ...]:
    """Of three rows over so many features, the first of which are constant."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((3, width)).astype(np.float32)
    S = rng.standard_normal((width, 40)).astype(np.float32)
    S[:constant] = 0.5
    affine = Affine((3,), (Term(source, (), sparse.csr_array(W)),), np.ones(3, np.float32))
    return unvaried({"z": affine}, {"z": (Gram.of(S, W @ S),)}, {"x"}, damped=damped)


@pytest.mark.parametrize(
    ("width", "constant", "source"), [(6, 1, "x"), (64, 1, "x"), (784, 1, "state"), (784, 400, "x")]
)
def test_features_that_the_inputs_should_have_moved_are_counted(width, constant, source):
    (note,) = notes(width, constant, source)
    assert f"{constant} of {width} features of 'z'" in note
    assert "stay the network's" in note


@pytest.mark.parametrize(("width", "constant"), [(784, 200), (65, 1), (784, 0), (6, 0)])
def test_border_pixels_are_not_worth_a_word(width, constant):
    assert notes(width, constant) == ()


def test_weights_that_leave_are_always_counted():
    (note,) = notes(784, 5, damped=False)
    assert "5 of 784 features of 'z'; their weights leave, and the bias takes their place" in note


def test_an_image_that_never_changes_is_named():
    (note,) = notes(784, 784)
    assert "784 of 784 features of 'z'" in note
