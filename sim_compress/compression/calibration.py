"""Networks and calibration inputs as users hold them: files and modules; arrays, tensors and loaders."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.errors import DataError, InputError
from sim_compress.frontend import is_module, module_inputs
from sim_compress.model.maps import Array, Shape
from sim_compress.states import Teacher, open_module, open_teacher

# Samples taken from a loader, which may go on for ever; rows need a few hundred.
LOADER_SAMPLES = 4096

Calibration = ArrayLike | Mapping[str, ArrayLike] | Iterable[Any]


class Opened(NamedTuple):
    """A teacher, its calibration inputs by name, and choices made for the user on the way."""

    teacher: Teacher
    inputs: Mapping[str, Array]
    notes: tuple[str, ...]


def opened(
    network: object, calibration: Calibration, input_shapes: Mapping[str, Shape] | None = None
) -> Opened:
    """The teacher behind whatever the caller calls a network, with its calibration inputs as arrays.

    Args:
        network: a path to an ONNX file or artifact, a torch module or ExportedProgram, or a teacher.
        calibration: arrays or tensors (samples, ...), by input name where there are several inputs; or a
            loader of batches: of tensors, of dicts, or of tuples whose further entries (labels) are left out.
        input_shapes: of a file whose inputs have open sizes.

    Raises:
        InputError: the network is none of these.
        DataError: the calibration inputs do not go with it.
    """
    if is_module(network):
        inputs, notes = _gathered(module_inputs(network), calibration)
        teacher = open_module(network, inputs)
        return Opened(teacher, inputs, (*teacher.notes, *notes))
    if isinstance(network, str | Path):
        teacher = open_teacher(network, input_shapes)
    elif isinstance(network, Teacher):
        teacher = network
    else:
        raise InputError(
            f"expected a path to an ONNX file or artifact, a torch module or an opened teacher, "
            f"got {type(network).__name__}"
        )
    inputs, notes = _gathered([i.name for i in teacher.model.inputs], calibration)
    return Opened(teacher, inputs, (*teacher.notes, *notes))


def _gathered(names: Sequence[str], calibration: Calibration) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Arrays by input name, and what was left out for it."""
    if isinstance(calibration, Mapping):
        return {name: as_array(value) for name, value in calibration.items()}, ()
    if _is_loader(calibration):
        return _loaded(names, calibration)
    if len(names) != 1:
        raise DataError(f"the network has the inputs {', '.join(names)}: pass a dict of arrays")
    return {names[0]: as_array(calibration)}, ()


def _is_loader(calibration: object) -> TypeGuard[Iterable[Any]]:
    """Whether this gives batches one after the other; a list is an array in numpy's eyes."""
    array = isinstance(calibration, np.ndarray | Sequence) or hasattr(calibration, "__array__")
    return not array and isinstance(calibration, Iterable)


def _loaded(names: Sequence[str], loader: Iterable[Any]) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Batches of a loader, joined."""
    parts: dict[str, list[Array]] = {name: [] for name in names}
    notes: dict[str, None] = {}
    samples = 0
    for batch in loader:
        found, note = _named(names, batch)
        for name in names:
            parts[name].append(as_array(found[name]))
        samples += len(parts[names[0]][-1])
        notes |= dict.fromkeys(note)
        if samples >= LOADER_SAMPLES:
            notes[f"the first {samples} samples of the loader were taken"] = None
            break
    if not samples:
        raise DataError("the calibration loader gives no samples")
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}, tuple(notes)


def _named(names: Sequence[str], batch: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """One batch by input name, and what of it is no input."""
    if isinstance(batch, Mapping):
        if missing := [name for name in names if name not in batch]:
            raise DataError(f"a batch has {', '.join(batch)}, but not the input {missing[0]!r}")
        extra = [str(key) for key in batch if key not in names]
        return batch, ((f"the loader's {', '.join(extra)} were left out",) if extra else ())
    entries = batch if isinstance(batch, tuple | list) else (batch,)
    if len(entries) < len(names):
        raise DataError(
            f"a batch has {len(entries)} entries, the network the inputs {', '.join(names)}: "
            "let the loader give dicts"
        )
    extra = len(entries) - len(names)
    note = f"the last {extra} of {len(entries)} entries of every batch (labels) were left out"
    return dict(zip(names, entries, strict=False)), ((note,) if extra else ())


def as_array(value: Any) -> Array:
    """A tensor on any device, or anything that numpy takes, as an array."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return np.asarray(value)
    tensor = value.detach().cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
