"""Evaluation data, checked before any work: inputs that fit and labels that name a class."""

import math

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model import ImplicitModel, Output, Shape
from sim_compress.model.maps import Array


def check_labels(model: ImplicitModel, labels: Array, samples: int) -> str:
    """Name of the output that labels of shape (samples,) are compared with.

    Raises:
        DataError: they are no whole numbers, one a sample, each below the number of classes; or not
            exactly one output is a vector of scores.
    """
    scored = [o for o in model.outputs if is_scores(o.shape)]
    if len(scored) != 1:
        raise DataError(
            f"labels need one output that is a vector of class scores; the network has {len(scored)} "
            f"of them among {', '.join(o.name for o in model.outputs)}: leave the labels out"
        )
    if labels.dtype.kind not in "iu" or labels.shape != (samples,):
        raise DataError(
            f"expected labels as whole numbers of shape ({samples},), one a sample, "
            f"got {labels.dtype} of shape {labels.shape}{_advice(labels, samples)}"
        )
    _check_classes(scored[0], labels)
    return scored[0].name


def _check_classes(output: Output, labels: Array) -> None:
    classes = math.prod(output.shape)
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if outside.size:
        shifted = labels.min() == 1 and labels.max() == classes
        advice = ": labels look counted from 1, give labels - 1" if shifted else ""
        raise DataError(
            f"label {labels[outside[0]]} of sample {outside[0]} is no class: "
            f"output {output.name!r} has {classes} scores, counted from 0{advice}"
        )


def _advice(labels: Array, samples: int) -> str:
    """What to give instead, where that can be seen."""
    if labels.shape == (samples, 1):
        return ": give labels[:, 0]"
    if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all():
        return ""
    if labels.ndim == 2 and len(labels) == samples:
        one = ((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all()
        return f": they look {'one-hot' if one else 'like scores'}, give labels.argmax(axis=1)"
    whole = labels.shape == (samples,) and (labels == np.round(labels)).all()
    return ": they are whole, give labels.astype(int)" if whole else ""


def is_scores(shape: Shape) -> bool:
    """Whether one sample's output is a vector of two or more scores; axes of length 1 do not count."""
    return sum(size > 1 for size in shape) == 1
