"""Calibration inputs as users hold them: arrays, dicts, lists of batches, loaders and data sets."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.compression.calibration.arrays import as_array, is_array
from sim_compress.compression.calibration.entries import DATA, LOADER, Batch, batch_of, is_mask_of
from sim_compress.errors import DataError
from sim_compress.frontend import Signature
from sim_compress.model.maps import Array

# Samples taken from a loader, which may go on for ever; rows need a few hundred.
LOADER_SAMPLES = 4096
# Samples of a torch Dataset that are put together at a time.
DATASET_BATCH = 64


class Samples(Protocol):
    """A torch Dataset: samples by number."""

    def __getitem__(self, index: Any, /) -> Any: ...


Calibration = ArrayLike | Mapping[str, ArrayLike] | Iterable[Any] | Samples
Gathered = tuple[dict[str, Array], tuple[str, ...]]


def gathered(signature: Signature, data: Calibration) -> Gathered:
    """Arrays by input name, and what was left out for it; what is read how stands at `compress`.

    Raises:
        DataError: what came cannot be the network's inputs.
    """
    if isinstance(data, Mapping):
        return _joined(signature, [data], DATA)
    if is_array(data):
        return _joined(signature, [{_only(signature): data}], DATA)
    if isinstance(data, list | tuple):
        return _listed(signature, data)
    batches = _loader(data)
    if isinstance(batches, Iterable) and not isinstance(batches, str | bytes):
        return _joined(signature, batches, LOADER, LOADER_SAMPLES)
    raise DataError(
        "expected calibration inputs as arrays or tensors (samples, ...), a dict of them, or batches in a "
        f"list or loader, got {type(data).__name__}"
    )


def _only(signature: Signature) -> str:
    if len(signature.positional) != 1:
        names = ", ".join(signature.positional)
        raise DataError(f"the network has the inputs {names}: pass a dict of arrays")
    return signature.positional[0]


def _listed(signature: Signature, data: Sequence[Any]) -> Gathered:
    """A list or tuple: batches, unless its arrays can only be samples of a file, or entries of one batch."""
    if not data:
        raise DataError("the calibration data hold no samples: the list is empty")
    if all(is_array(entry) for entry in data):
        arrays = [as_array(entry) for entry in data]
        if _are_samples(signature, arrays):
            return {_only(signature): np.stack(arrays)}, ()
        if _are_entries(signature, arrays):
            return _joined(signature, [tuple(arrays)], DATA)
    return _joined(signature, data, DATA)


def _are_samples(signature: Signature, arrays: Sequence[Array]) -> bool:
    """Whether each array is one sample, which only the shapes of a file can tell."""
    if len(signature.required) != 1 or not signature.shapes:
        return False
    shape = signature.shapes[signature.required[0]]
    return all(array.shape == shape for array in arrays)


def _are_entries(signature: Signature, arrays: Sequence[Array]) -> bool:
    """Whether arrays are the entries of one batch, as they cannot be batches of a single input.

    There are several inputs, all further arrays have fewer axes, or ids are followed by their mask.
    """
    if any(not a.ndim for a in arrays) or len({len(a) for a in arrays}) > 1:
        return False
    if len(signature.positional) > 1 or len(arrays) == 1:
        return len(arrays) >= len(signature.positional) > 1
    first, *further = arrays
    return all(a.ndim < first.ndim for a in further) or is_mask_of(signature, further[0], first)


def _loader(data: Any) -> Any:
    """A loader for a torch Dataset, which gives samples; anything else as it is."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(data, torch.utils.data.Dataset):
        return data
    return torch.utils.data.DataLoader(data, batch_size=DATASET_BATCH)


def _joined(signature: Signature, batches: Iterable[Any], source: str, most: int | None = None) -> Gathered:
    """Batches one behind the other, as far as `most` samples need."""
    taken: list[Batch] = []
    samples = 0
    notes: dict[str, None] = {}
    for batch in batches:
        found = batch_of(signature, batch, source)
        notes |= dict.fromkeys(found.notes)
        taken.append(found)
        samples += found.samples
        if most is not None and samples >= most:
            notes[f"the first {samples} samples of the loader were taken"] = None
            break
    if not samples:
        raise DataError(f"the calibration {source} {'gives' if source == LOADER else 'hold'} no samples")
    return _concatenated(taken), tuple(notes)


def _concatenated(batches: Sequence[Batch]) -> dict[str, Array]:
    """Batches joined along their first axis.

    Raises:
        DataError: they differ in their inputs or in the shapes of their samples.
    """
    first = batches[0].inputs
    if len(batches) == 1:
        return dict(first)
    for batch in batches:
        if set(batch.inputs) != set(first):
            raise DataError(
                f"one batch gives the inputs {', '.join(first)}, another {', '.join(batch.inputs)}: give "
                "every batch the same ones"
            )
    for name in first:
        shapes = sorted({batch.inputs[name].shape[1:] for batch in batches})
        if len(shapes) > 1:
            raise DataError(
                f"input {name!r}: samples of one batch have the shape {shapes[0]}, of another {shapes[1]}: "
                "give all one shape (texts padded to one length), inputs with labels as a tuple in a list"
            )
    return {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in first}
