"""Labels that do not go with a network are said beside the score; others are not."""

import numpy as np
import pytest

from sim_compress.report import label_remarks

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 9, 2000)
# One in ten is wrong.
LABELS = np.where(RNG.random(2000) < 0.1, RNG.integers(0, 9, 2000), CLASSES)


def remark(labels: np.ndarray, classes: np.ndarray = CLASSES) -> str:
    (found,) = label_remarks(classes, labels, "the network")
    return found


def test_labels_that_fit_mostly_or_better_than_chance_need_no_word():
    assert label_remarks(CLASSES, LABELS, "the network") == ()
    poor = np.where(RNG.random(2000) < 0.7, RNG.integers(0, 9, 2000), CLASSES)
    assert label_remarks(CLASSES, poor, "the network") == ()


@pytest.mark.parametrize(("shift", "words"), [(1, "one less"), (-1, "one more")])
@pytest.mark.parametrize("dtype", [np.int64, np.int8])
def test_labels_counted_from_another_number_are_said(shift, words, dtype):
    text = remark((CLASSES + shift).astype(dtype))
    assert "no label fits the classes of the network" in text
    assert f"100.00 % would if each were {words}: labels look shifted by one" in text
    assert "only" in remark(LABELS + shift)


def test_unsigned_labels_from_one_are_seen_too():
    assert "shifted by one" in remark((CLASSES + 1).astype(np.uint8))


def test_shuffled_labels_are_no_better_than_guessing():
    text = remark(RNG.permutation(LABELS))
    assert "the accuracy of the network is that of guessing" in text
    assert "in the order of the inputs?" in text


def test_labels_of_one_class_say_how_often_it_is_given():
    assert remark(np.full(2000, 3)).startswith("all labels are 3: ")
    assert label_remarks(np.zeros(5, int), np.zeros(5, int), "the model") == (
        "all labels are 0: the accuracy says no more than how often the model gives this class",
    )
