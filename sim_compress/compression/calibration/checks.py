"""What must hold before any row is solved: calibration inputs that say something, an exact state model."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.certificate import order_of_evaluation
from sim_compress.errors import DataError, InputError, UnsupportedError
from sim_compress.model import ImplicitModel, Input
from sim_compress.model.maps import Array
from sim_compress.runtime import (
    Checked,
    Session,
    check_inputs,
    checked,
    id_ranges,
    named,
    parts,
)
from sim_compress.states import Teacher

# Outputs of the exact model and of onnxruntime differ by float32 rounding, far below this.
EXACTNESS = 1e-3
# onnxruntime's sigmoid and tanh are off by 1e-7 of their range, which is much of an output near zero.
OF_RANGE = 1e-6


def check_calibration(teacher: Teacher, inputs: ArrayLike | Mapping[str, ArrayLike] | Checked) -> Checked:
    """Calibration inputs by name, (samples, ...), in the dtype they came in; batches are converted later.

    What is checked already is not checked again, but for what makes it calibration inputs.

    Raises:
        DataError: names, shapes or dtypes do not fit, there are no samples, a value is not finite, or
            all samples are the same, which says nothing of any state.
    """
    expected = teacher.model.inputs
    found = inputs if isinstance(inputs, Checked) else _checked(expected, inputs)
    arrays = found.arrays
    for ids in id_ranges(teacher.model):
        ids.check(arrays)
    if all((part == a[:1]).all() for a in arrays.values() for part in parts(a)):
        raise DataError("all calibration samples are the same: give inputs as the network would see them")
    return found


def _checked(expected: Sequence[Input], inputs: ArrayLike | Mapping[str, ArrayLike]) -> Checked:
    return checked(expected, {name: np.asarray(array) for name, array in named(expected, inputs).items()})


def check_exact(teacher: Teacher, inputs: Mapping[str, Array]) -> tuple[str, ...]:
    """The state model must give the teacher's own outputs before anything is taken out of it.

    Where rounding is magnified, as by the logarithm of an empty spectrum, the teacher itself moves by more
    than the bound when it is computed another way. Then the state model must be as near to one of the two as
    they are to each other.

    Returns:
        What is said of outputs whose rounding is magnified.

    Raises:
        UnsupportedError: it does not, with the output and the size of the difference.
    """
    few = check_inputs(teacher.model.inputs, {name: array[:2] for name, array in inputs.items()})
    ours = Session(teacher.model, kernel="scipy").predict(few)
    batch = {name: np.moveaxis(array, 0, -1) for name, array in few.items()}
    read = teacher.outputs(batch)
    scales = {n: max(float(np.abs(y).max(initial=0.0)), np.finfo(np.float32).tiny) for n, y in read.items()}
    states = {n: np.moveaxis(y, 0, -1) for n, y in ours.items()}
    found = {n: _difference(states[n], y) / scales[n] for n, y in read.items()}
    beyond = [n for n, difference in found.items() if not difference <= EXACTNESS + OF_RANGE / scales[n]]
    plain = teacher.plain_outputs(batch) if beyond else {}
    notes = []
    for name in beyond:
        own = _difference(plain[name], read[name]) / scales[name]
        nearest = min(found[name], _difference(states[name], plain[name]) / scales[name])
        if not nearest <= own:
            raise UnsupportedError(
                f"output {name!r} of the state model differs from the network's by {found[name]:.2g} of its "
                f"size (rounding stays below {max(EXACTNESS, own):.2g}): please report this network"
            )
        notes.append(
            f"output {name!r} of the network depends on rounding: it moves by {own:.2g} of its size when "
            f"onnxruntime's optimiser is off, and the state model is {nearest:.2g} from that"
        )
    return tuple(notes)


def _difference(one: Array, other: Array) -> float:
    """The largest; not a number where one is not."""
    return float(np.abs(one - other).max(initial=0.0))


def check_tunable(model: ImplicitModel) -> None:
    """Before any work: whether the values of a network's rows can be tuned.

    Raises:
        InputError: it has loops.
    """
    if order_of_evaluation(model) is None:
        raise InputError(
            "the network has loops, whose values kappa bounds, and tuning would move them: leave it out"
        )
