"""Scores in sums over batches against the same formulas on whole arrays."""

from collections.abc import Mapping

import numpy as np
import pytest

from sim_compress.errors import DataError
from sim_compress.model import Affine, ImplicitModel, Input, Output, Term
from sim_compress.report import measure
from sim_compress.report.measure import BATCH
from sim_compress.runtime import Session
from tests.networks import bias, residual_network, weight

# Sums of float64 squares of the same float32 outputs, in batches or at once.
SUMMATION = 1e-12


def linear(rows: int, seed: int = 0) -> ImplicitModel:
    """y = W u + b."""
    affine = Affine((rows,), (Term("u", (), weight(rows, 4, seed=seed)),), bias(rows, seed))
    return ImplicitModel((Input("u", (4,)),), (), (Output("y", affine),))


def inputs(samples: int, *shape: int) -> dict[str, np.ndarray]:
    return {"u": np.random.default_rng(0).standard_normal((samples, *(shape or (4,)))).astype(np.float32)}


@pytest.mark.parametrize("samples", [1, BATCH - 1, BATCH, 3 * BATCH + 5])
def test_scores_equal_those_of_whole_arrays(samples):
    ours, theirs = Session(linear(5)), Session(linear(5, seed=1))
    data = inputs(samples)
    labels = np.random.default_rng(1).integers(0, 5, samples)
    (score,) = measure(ours, theirs.predict, data, labels)
    # Outputs may differ in their last bits between batch sizes.
    parts = [{"u": data["u"][i : i + BATCH]} for i in range(0, samples, BATCH)]
    y, reference = (np.concatenate([s(part) for part in parts]).astype(float) for s in (ours, theirs))
    error = np.linalg.norm(y - reference) / np.linalg.norm(reference)
    assert score.relative_error == pytest.approx(error, rel=SUMMATION)
    assert score.agreement == np.mean(y.argmax(1) == reference.argmax(1))
    assert score.accuracy_before == np.mean(reference.argmax(1) == labels)
    assert score.accuracy_after == np.mean(y.argmax(1) == labels)


def test_a_model_agrees_with_itself():
    session = Session(residual_network())
    scores, peak = measure(session, session.predict, inputs(10, 2, 6, 6))
    assert (scores.output, scores.relative_error, scores.agreement) == ("scores", 0.0, 1.0)
    # `peak` is (6, 1, 1) a sample: scores too, axes of length 1 do not count.
    assert (peak.output, peak.relative_error, peak.agreement) == ("peak", 0.0, 1.0)


def test_an_output_that_is_no_vector_of_scores_has_the_error_alone():
    session = Session(linear(1))
    (score,) = measure(session, session.predict, inputs(5))
    assert score.relative_error == 0.0
    assert score.agreement is None


def test_labels_without_a_teacher_give_the_accuracy_alone():
    session = Session(linear(3))
    data = inputs(7)
    labels = np.asarray(session(data)).argmax(1)
    (score,) = measure(session, None, data, labels)
    assert score.accuracy_after == 1.0
    assert score.accuracy_before is score.agreement is score.relative_error is None


def test_a_teacher_of_zeros_has_no_relative_error():
    session = Session(linear(3))

    def zeros(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": np.zeros((len(batch["u"]), 3), np.float32)}

    assert measure(session, zeros, inputs(4))[0].relative_error is None


def test_whole_numbers_are_converted_batch_by_batch():
    session = Session(linear(3))
    data = {"u": np.arange(4 * 100).reshape(100, 4).astype(np.uint8)}
    (score,) = measure(session, session.predict, data)
    assert score.relative_error == 0.0


def test_progress_rises_to_one():
    session = Session(linear(3))
    parts: list[float] = []
    measure(session, session.predict, inputs(3 * BATCH - 1), progress=parts.append)
    assert parts == sorted(parts)
    assert len(parts) == 3
    assert parts[-1] == 1.0


def test_outputs_that_are_not_finite_are_refused():
    session = Session(linear(3))

    def broken(batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {"y": np.full((len(batch["u"]), 3), np.inf, np.float32)}

    with pytest.raises(DataError, match="output 'y' of the network is not finite"):
        measure(session, broken, inputs(4))


def test_outputs_of_the_sparse_model_that_are_not_finite_count_as_wrong_and_are_said():
    session = Session(linear(3))
    data = inputs(10)
    classes = np.asarray(session(data)).argmax(1)
    data["u"][:3] = np.float32(3e38)
    with np.errstate(all="ignore"):
        (score,) = measure(session, lambda _: {"y": np.eye(3, dtype=np.float32)[classes]}, data, classes)
    assert score.relative_error is None
    assert score.agreement == score.accuracy_after == 0.7
    assert score.accuracy_before == 1.0
    assert "output 'y' of the sparse model is not finite for 3 of 10 samples" in score.remarks[0]


def test_there_must_be_something_to_compare_with():
    with pytest.raises(DataError, match="nothing to compare with"):
        measure(Session(linear(3)), None, inputs(4))
