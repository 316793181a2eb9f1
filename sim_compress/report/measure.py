"""How close a sparse model is to its teacher and to the labels, in sums over a stream of batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model.maps import Array
from sim_compress.report.figures import Score
from sim_compress.report.samples import check_labels, is_scores
from sim_compress.runtime import Session, check_inputs, check_samples

BATCH = 64
# Inputs, name -> (samples, ...), to outputs in the same form.
Predict = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass
class _Sums:
    """Sums of one output over the samples seen."""

    difference: float = 0.0
    size: float = 0.0
    same: int = 0
    right_before: int = 0
    right_after: int = 0


def measure(
    session: Session,
    teacher: Predict | None,
    inputs: Mapping[str, Array],
    labels: Array | None = None,
    progress: Callable[[float], None] = lambda _part: None,
) -> tuple[Score, ...]:
    """Scores of every output of a session.

    Args:
        session: the sparse model.
        teacher: what it is compared with; without one only the accuracy on labels is known.
        inputs: evaluation data, name -> (samples, ...).
        labels: class numbers (samples,).
        progress: called with the finished part in [0, 1].

    Raises:
        DataError: the data do not fit, there is neither teacher nor labels, or an output is not finite.
    """
    if teacher is None and labels is None:
        raise DataError("nothing to compare with: give labels, or the network the model was made from")
    samples = check_samples(session.model.inputs, inputs)
    labelled = None if labels is None else check_labels(session.model, labels, samples)
    sums = {output.name: _Sums() for output in session.model.outputs}
    for start in range(0, samples, BATCH):
        part = slice(start, start + BATCH)
        batch = check_inputs(session.model.inputs, {name: u[part] for name, u in inputs.items()})
        ours = session.predict(batch)
        theirs = None if teacher is None else teacher(batch)
        for name, total in sums.items():
            targets = labels[part] if labels is not None and name == labelled else None
            _add(total, name, ours, theirs, targets)
        progress(min(1.0, (start + BATCH) / samples))
    return tuple(
        _score(output.name, is_scores(output.shape), sums[output.name], samples, teacher, labelled)
        for output in session.model.outputs
    )


def _add(
    total: _Sums,
    name: str,
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array] | None,
    labels: Array | None,
) -> None:
    """Add one batch of one output."""
    y = _finite(ours[name], name, "the sparse model")
    if labels is not None:
        total.right_after += int((_best(y) == labels).sum())
    if theirs is None:
        return
    reference = _finite(theirs[name], name, "the network")
    total.difference += float(np.sum((y - reference) ** 2))
    total.size += float(np.sum(reference**2))
    total.same += int((_best(y) == _best(reference)).sum())
    if labels is not None:
        total.right_before += int((_best(reference) == labels).sum())


def _finite(y: Array, name: str, whose: str) -> Array:
    """The batch in float64, (samples, features)."""
    if not np.isfinite(y).all():
        raise DataError(f"output {name!r} of {whose} is not finite on the evaluation data: check the inputs")
    return y.reshape(len(y), -1).astype(np.float64)


def _best(y: Array) -> Array:
    return y.argmax(axis=1)


def _score(
    name: str, scored: bool, total: _Sums, samples: int, teacher: Predict | None, labelled: str | None
) -> Score:
    compared = teacher is not None
    return Score(
        name,
        relative_error=(total.difference / total.size) ** 0.5 if compared and total.size else None,
        agreement=total.same / samples if compared and scored else None,
        accuracy_before=total.right_before / samples if compared and name == labelled else None,
        accuracy_after=total.right_after / samples if name == labelled else None,
    )
