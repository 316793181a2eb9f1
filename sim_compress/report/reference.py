"""The teacher as the judge: its outputs with samples on the first axis."""

from collections.abc import Mapping

import numpy as np

from sim_compress.model.maps import Array
from sim_compress.report.measure import Predict
from sim_compress.states import Teacher


def teacher_outputs(teacher: Teacher) -> Predict:
    """A function from inputs, name -> (samples, ...), to the teacher's outputs in the same form."""

    def predict(inputs: Mapping[str, Array]) -> dict[str, Array]:
        outputs = teacher.outputs({name: np.moveaxis(array, 0, -1) for name, array in inputs.items()})
        return {name: np.moveaxis(array, -1, 0) for name, array in outputs.items()}

    return predict
