"""Calibration images and their mirror images: twice the data where a network answers both alike."""

from collections.abc import Mapping

import numpy as np

from sim_compress.compression.settings import Settings
from sim_compress.model import ImplicitModel, Input
from sim_compress.model.maps import Array
from sim_compress.states import Teacher
from sim_compress.states.batches import batches, converted

MIRRORED = "mirror images of the calibration inputs serve too: the network gives them the same classes"
# Part of the mirror images that must get the class of their originals, for them to be inputs like others.
ALIKE = 0.85
# Images tried for that, spread over all of them.
TRIED = 64
# With more samples than this, designs are not what limits accuracy, and twice as many cost twice the time.
ENOUGH = 2048
# Axes shorter than this are no picture's.
SHORTEST = 8
# Channels of an image whose last axis holds them: grey, colour, colour with transparency.
CHANNELS = (1, 3, 4)


def may_mirror(model: ImplicitModel, inputs: Mapping[str, Array], settings: Settings) -> bool:
    """Whether mirror images are asked for, and the inputs are few images of a network with one input.

    Args:
        model: the teacher's.
        inputs: calibration inputs, name -> (samples, ...).
        settings: as asked.
    """
    asked = settings.augment == "mirror" and settings.method().mirrors
    if not asked or len(model.inputs) != 1:
        return False
    (image,) = model.inputs
    return _width(image) is not None and len(inputs[image.name]) <= ENOUGH


def mirrored(teacher: Teacher, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Inputs that may be mirrored, followed by their mirror images; as they were where that would not serve.

    It does where the network's own classes, seen on its outputs alone, are the same for mirror images: those
    of a photograph mostly are, those of a digit are not.

    Args:
        teacher: the network.
        inputs: calibration inputs, name -> (samples, ...).
    """
    (image,) = teacher.model.inputs
    axis, u = _width(image), inputs[image.name]
    assert axis is not None
    tried = u[np.linspace(0, len(u) - 1, min(TRIED, len(u))).round().astype(int)]
    before, after = (_classes(teacher, {image.name: x}) for x in (tried, np.flip(tried, axis)))
    alike = min((float(np.mean(before[o] == after[o])) for o in before), default=0.0)
    return {image.name: np.concatenate([u, np.flip(u, axis)])} if alike >= ALIKE else inputs


def _width(image: Input) -> int | None:
    """The axis of a batch (samples, ...) from left to right; None where the input is no image."""
    if len(image.shape) != 3 or np.dtype(image.dtype).kind != "f":
        return None
    # One channel first and last tells nothing: the axes that are long enough do.
    if min(image.shape[1:]) >= SHORTEST:
        return 3
    return 2 if min(image.shape[:2]) >= SHORTEST and image.shape[2] in CHANNELS else None


def _classes(teacher: Teacher, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Output with classes -> the class of every sample."""
    model = teacher.model
    scored = [o.name for o in model.outputs if len(o.shape) == 1 and o.shape[0] > 1]
    if not scored:
        return {}
    found = [teacher.outputs(converted(model.inputs, batch)) for batch in batches(model, inputs)]
    return {name: np.concatenate([scores[name].argmax(0) for scores in found]) for name in scored}
