"""What must hold before any row is solved: calibration inputs that say something, an exact state model."""

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.certificate import order_of_evaluation
from sim_compress.compression.settings import Settings
from sim_compress.core import Convex
from sim_compress.errors import DataError, InputError, UnsupportedError
from sim_compress.model import Affine, ImplicitModel
from sim_compress.model.maps import Array
from sim_compress.runtime import (
    Session,
    check_inputs,
    check_samples,
    id_ranges,
    named,
    parts,
)
from sim_compress.states import Teacher

# Outputs of the exact model and of onnxruntime differ by float32 rounding, far below this.
EXACTNESS = 1e-3
# onnxruntime's sigmoid and tanh are off by 1e-7 of their range, which is much of an output near zero.
OF_RANGE = 1e-6


def check_calibration(teacher: Teacher, inputs: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Calibration inputs by name, (samples, ...), in the dtype they came in; batches are converted later.

    Raises:
        DataError: names, shapes or dtypes do not fit, there are no samples, a value is not finite, or
            all samples are the same, which says nothing of any state.
    """
    expected = teacher.model.inputs
    arrays = {name: np.asarray(array) for name, array in named(expected, inputs).items()}
    check_samples(expected, arrays)
    for ids in id_ranges(teacher.model):
        ids.check(arrays)
    if all((part == a[:1]).all() for a in arrays.values() for part in parts(a)):
        raise DataError("all calibration samples are the same: give inputs as the network would see them")
    return arrays


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


def check_engine(settings: Settings, convex: Convex | None = None) -> None:
    """Before any work: whether an engine would have anything to do.

    Raises:
        InputError: it would not, with the reason.
    """
    if settings.matching == "exact":
        reason = "rows that match exactly are solved in this process"
    elif convex is not None:
        reason = "rows with a convex f and C of your own are solved in this process"
    elif settings.rows_in_order:
        reason = "blocks are solved one after the other, on regenerated states"
    else:
        return
    raise InputError(
        f"an engine runs the rows of baseline states, and has nothing to do here: {reason}; leave it out, or "
        "take baseline states (states='baseline', --states baseline) with relaxed matching"
    )


def check_tuning(model: ImplicitModel, convex: Convex | None) -> None:
    """Before any work: whether the values of a network's rows can be tuned.

    Raises:
        InputError: it has loops, or the rows a C of their own.
    """
    if convex is not None:
        raise InputError("tuning moves the values of rows out of a C of your own: leave it out")
    if order_of_evaluation(model) is None:
        raise InputError(
            "the network has loops, whose values kappa bounds, and tuning would move them: leave it out"
        )


def weights_to_keep(affines: Collection[Affine], target_sparsity: float) -> int:
    """Weights and new biases that the given rows may have beside the biases of the network.

    Raises:
        InputError: the biases alone exceed the target; the message gives the highest sparsity to ask.
    """
    biases, parameters = _biases(affines), sum(a.nnz for a in affines)
    count = round((1 - target_sparsity) * parameters) - biases
    if count < 1:
        raise InputError(
            f"a sparsity of {100 * target_sparsity:g} % keeps {count + biases} of {parameters} parameters, "
            f"not more than the {biases} biases: ask for less than {100 * (1 - biases / parameters):.1f} %"
        )
    return count


def highest_sparsity(affines: Collection[Affine], resolution: int) -> int:
    """The largest n for which n / resolution can be asked of the given rows, below 1; 0 where none can."""
    biases, parameters = _biases(affines), sum(a.nnz for a in affines)
    return next(
        (n for n in range(resolution - 1, 0, -1) if round((1 - n / resolution) * parameters) > biases), 0
    )


def _biases(affines: Collection[Affine]) -> int:
    """Those that the network has, which stay."""
    return sum(int(np.count_nonzero(a.bias)) for a in affines if a.bias is not None)
