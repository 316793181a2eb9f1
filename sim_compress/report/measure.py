"""How close a sparse model is to its teacher and to the labels, in sums over a stream of batches."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model import ImplicitModel, Output
from sim_compress.model.maps import Array
from sim_compress.report.figures import Score
from sim_compress.report.fit import label_remarks
from sim_compress.runtime import Session, check_inputs, check_labels, check_samples, is_scores

BATCH = 64
NO_CLASS = -1
# Inputs, name -> (samples, ...), to outputs in the same form.
Predict = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass
class _Sums:
    """Sums of one output over the samples seen, and their classes where there are labels."""

    difference: float = 0.0
    size: float = 0.0
    same: int = 0
    broken: int = 0
    before: list[Array] = field(default_factory=list)
    after: list[Array] = field(default_factory=list)


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
        DataError: the data do not fit, there is neither teacher nor labels, or an output of the teacher is
            not finite. One of the sparse model's is said in its score, which then has no error.
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
            _add(total, name, ours, theirs, classes=name == labelled)
        progress(min(1.0, (start + BATCH) / samples))
    return tuple(
        _score(o, sums[o.name], samples, teacher, labels if o.name == labelled else None)
        for o in session.model.outputs
    )


def classes_of(model: ImplicitModel, predict: Predict, inputs: Mapping[str, Array], name: str) -> Array:
    """The class that one output gives each sample, (samples,).

    Args:
        model: whose inputs they are.
        predict: gives the outputs.
        inputs: name -> (samples, ...).
        name: of the output.
    """
    found = []
    for start in range(0, len(next(iter(inputs.values()))), BATCH):
        part = slice(start, start + BATCH)
        batch = check_inputs(model.inputs, {n: u[part] for n, u in inputs.items()})
        found.append(_best(_flat(predict(batch)[name])))
    return np.concatenate(found)


def _add(
    total: _Sums,
    name: str,
    ours: Mapping[str, Array],
    theirs: Mapping[str, Array] | None,
    classes: bool,
) -> None:
    """Add one batch of one output."""
    y = _flat(ours[name])
    finite = np.isfinite(y).all(axis=1)
    total.broken += int(np.count_nonzero(~finite))
    # What is no number has no class.
    best = np.where(finite, _best(y), NO_CLASS)
    if classes:
        total.after.append(best)
    if theirs is None:
        return
    reference = _flat(theirs[name])
    if not np.isfinite(reference).all():
        raise DataError(
            f"output {name!r} of the network is not finite on the evaluation data: check the inputs"
        )
    total.difference += float(np.sum((y - reference)[finite] ** 2))
    total.size += float(np.sum(reference**2))
    total.same += int((best == _best(reference)).sum())
    if classes:
        total.before.append(_best(reference))


def _flat(y: Array) -> Array:
    """The batch in float64, (samples, features)."""
    return y.reshape(len(y), -1).astype(np.float64)


def _best(y: Array) -> Array:
    return y.argmax(axis=1)


def _score(
    output: Output, total: _Sums, samples: int, teacher: Predict | None, labels: Array | None
) -> Score:
    known = teacher is not None and total.size and not total.broken
    return Score(
        output.name,
        relative_error=(total.difference / total.size) ** 0.5 if known else None,
        agreement=total.same / samples if teacher is not None and is_scores(output.shape) else None,
        accuracy_before=_right(total.before, labels),
        accuracy_after=_right(total.after, labels),
        remarks=(*_broken(output.name, total.broken, samples), *_remarks(total, labels)),
    )


def _right(classes: list[Array], labels: Array | None) -> float | None:
    """Part of the labels that are the classes given; None where there are none."""
    return float(np.mean(np.concatenate(classes) == labels)) if classes and labels is not None else None


def _broken(name: str, count: int, samples: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        f"output {name!r} of the sparse model is not finite for {count:,} of {samples:,} samples: their "
        "classes count as wrong",
    )


def _remarks(total: _Sums, labels: Array | None) -> tuple[str, ...]:
    """What labels look like to the network, else to the model."""
    if labels is None:
        return ()
    if total.before:
        return label_remarks(np.concatenate(total.before), labels, "the network")
    return label_remarks(np.concatenate(total.after), labels, "the model")
