"""The teacher as the judge: its outputs with samples on the first axis."""

import hashlib
from collections.abc import Mapping

import numpy as np

from sim_compress.model.maps import Array
from sim_compress.report.measure import Predict
from sim_compress.states import Teacher

# Outputs that are remembered; beyond it they are computed each time.
REMEMBERED_BYTES = 256 * 2**20


def teacher_outputs(teacher: Teacher) -> Predict:
    """A function from inputs, name -> (samples, ...), to the teacher's outputs in the same form."""

    def predict(inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = teacher.outputs({name: np.moveaxis(array, 0, -1) for name, array in inputs.items()})
        return {name: np.moveaxis(array, -1, 0) for name, array in outputs.items()}

    return predict


def remembered(predict: Predict) -> Predict:
    """The same function, which computes a batch once however often it is asked: several models, one judge."""
    known: dict[str, Mapping[str, Array]] = {}
    held = 0

    def recalled(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        nonlocal held
        key = _key(inputs)
        if key in known:
            return known[key]
        outputs = predict(inputs)
        size = sum(y.nbytes for y in outputs.values())
        if held + size <= REMEMBERED_BYTES:
            held += size
            known[key] = outputs
        return outputs

    return recalled


def _key(inputs: Mapping[str, Array]) -> str:
    """A hash of a batch; inputs of one network differ in nothing but their number and their values."""
    whole = hashlib.sha256()
    for name in sorted(inputs):
        whole.update(np.ascontiguousarray(inputs[name]).data)
    return whole.hexdigest()
