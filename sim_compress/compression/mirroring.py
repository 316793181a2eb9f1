"""Calibration images and their mirror images: twice the data where a network answers both alike."""

from collections.abc import Mapping

import numpy as np

from sim_compress.model import Input
from sim_compress.model.maps import Array
from sim_compress.states import Teacher

MIRRORED = "mirror images of the calibration inputs serve too: the network gives them the same classes"
# Part of the mirror images that must get the class of their originals, for them to be inputs like others.
ALIKE = 0.85
# Images tried for that, spread over all of them.
TRIED = 256
# With more samples than this, designs are not what limits accuracy, and twice as many cost twice the time.
ENOUGH = 2048
# Axes shorter than this are no picture's.
SHORTEST = 8
# Channels of an image whose last axis holds them: grey, colour, colour with transparency.
CHANNELS = (1, 3, 4)


def mirrored(teacher: Teacher, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """The inputs followed by their mirror images; as they were where that would not serve.

    It does for few images of a network with one input whose own classes, seen on its outputs alone, are the
    same for mirror images: those of a photograph mostly are, those of a digit are not.

    Args:
        teacher: the network.
        inputs: calibration inputs, name -> (samples, ...).
    """
    if len(teacher.model.inputs) != 1:
        return inputs
    (image,) = teacher.model.inputs
    axis, u = _width(image), inputs[image.name]
    if axis is None or len(u) > ENOUGH:
        return inputs
    tried = u[np.linspace(0, len(u) - 1, min(TRIED, len(u))).round().astype(int)]
    if _alike(teacher, image.name, tried, np.flip(tried, axis)) < ALIKE:
        return inputs
    return {image.name: np.concatenate([u, np.flip(u, axis)])}


def _width(image: Input) -> int | None:
    """The axis of a batch (samples, ...) from left to right; None where the input is no image."""
    if len(image.shape) != 3 or np.dtype(image.dtype).kind != "f":
        return None
    # One channel first and last tells nothing: the axes that are long enough do.
    if min(image.shape[1:]) >= SHORTEST:
        return 3
    return 2 if min(image.shape[:2]) >= SHORTEST and image.shape[2] in CHANNELS else None


def _alike(teacher: Teacher, name: str, u: Array, flipped: Array) -> float:
    """Smallest part of the samples with the same class over the outputs with classes; 0 without any."""
    scored = [o.name for o in teacher.model.outputs if len(o.shape) == 1 and o.shape[0] > 1]
    before, after = (teacher.outputs({name: np.moveaxis(x, 0, -1)}) for x in (u, flipped))
    same = (float(np.mean(before[o].argmax(0) == after[o].argmax(0))) for o in scored)
    return min(same, default=0.0)
