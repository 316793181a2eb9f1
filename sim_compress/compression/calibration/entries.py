"""One batch: which of its entries are inputs of the network, and which are labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_compress.compression.calibration.arrays import as_array, is_array
from sim_compress.errors import DataError
from sim_compress.frontend import Signature, is_answer
from sim_compress.model.maps import Array

# Optional inputs that an entry of a tuple can be: masks, and whole numbers that go with token ids.
MASK, IDS = "mask", "_ids"
# What gave a batch, for messages: the caller at once, or one batch after the other.
DATA, LOADER = "data", "loader"


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs by name, (samples, ...), and what of the batch was left out."""

    inputs: Mapping[str, Array]
    notes: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.inputs.values())))


def batch_of(signature: Signature, batch: Any, source: str) -> Batch:
    """A batch by input name.

    Args:
        signature: what the network can be given.
        batch: an array, a dict of them, or entries in a list or tuple, inputs first.
        source: DATA or LOADER.

    Raises:
        DataError: it lacks an input, or an input has no samples on its first axis.
    """
    if isinstance(batch, Mapping):
        found = _keyed(signature, batch, source)
    elif isinstance(batch, list | tuple) and not is_array(batch):
        found = _entered(signature, batch, source)
    else:
        found = _entered(signature, (batch,), source)
    counts = {name: len(array) for name, array in found.inputs.items() if array.ndim}
    if single := [name for name in found.inputs if name not in counts]:
        raise DataError(
            f"input {single[0]!r}: expected an array or tensor (samples, ...), got a single value: give "
            "batches (a DataLoader makes them of samples); what is no tensor is set in the module"
        )
    if len(set(counts.values())) > 1:
        raise DataError(f"inputs differ in their number of samples: {counts}")
    return found


def _keyed(signature: Signature, batch: Mapping[str, Any], source: str) -> Batch:
    """A dict: the keys that the network takes, masks among them."""
    if missing := [name for name in signature.required if name not in batch]:
        if source == LOADER:
            raise DataError(f"a batch has {', '.join(map(str, batch))}, but not the input {missing[0]!r}")
        raise DataError(f"expected the inputs {sorted(signature.required)}, got {sorted(map(str, batch))}")
    known = {*signature.positional, *signature.optional}
    taken = [k for k in batch if k in known or (signature.anything and not is_answer(str(k)))]
    given = {key: batch[key] for key in taken if batch[key] is not None}
    if not given:
        raise DataError(
            f"a batch has {', '.join(map(str, batch)) or 'no entries'}, but none of the inputs "
            f"{', '.join((*signature.required, *signature.optional))}"
        )
    extra = [str(key) for key in batch if key not in taken]
    notes = (f"the {source}'s {', '.join(extra)} were left out",) if extra else ()
    return Batch({str(name): as_array(value) for name, value in given.items()}, notes)


def _entered(signature: Signature, entries: Sequence[Any], source: str) -> Batch:
    """A tuple: inputs in the order of the network's own, then labels."""
    if entries and not is_array(entries[0]) and isinstance(entries[0], Mapping | list | tuple):
        # Inputs that come together, as a dict or a tuple, then labels.
        inner = batch_of(signature, entries[0], source)
        return Batch(inner.inputs, (*inner.notes, *_left_out(len(entries) - 1, len(entries))))
    names = list(signature.positional)
    if len(entries) < len(names):
        raise DataError(
            f"a batch has {len(entries)} entries, the network the inputs {', '.join(names)}: "
            "let the loader give dicts"
        )
    further = [name for name in signature.optional if name not in names]
    for name, entry in zip(further, entries[len(names) :], strict=False):
        if not _goes_with(name, entry, entries[0]):
            break
        names.append(name)
    arrays = {name: as_array(entry) for name, entry in zip(names, entries, strict=False)}
    return Batch(arrays, _left_out(len(entries) - len(names), len(entries)))


def _left_out(extra: int, entries: int) -> tuple[str, ...]:
    return (f"the last {extra} of {entries} entries of every batch (labels) were left out",) if extra else ()


def is_mask_of(signature: Signature, entry: Array, first: Array) -> bool:
    """Whether an array can but be the mask of the first one, which holds ids: forward takes one there."""
    named = [name for name in signature.optional if name not in signature.positional][:1]
    ids = first.dtype.kind in "iu" and not np.isin(first, (0, 1)).all()
    return ids and any(MASK in name and _goes_with(name, entry, first) for name in named)


def _goes_with(name: str, entry: Any, first: Any) -> bool:
    """Whether an entry is the optional input in its place, and not labels.

    It is where that is a mask or holds ids, and the entry is (samples, length) as the first entry, with or
    without features behind, and has truth values, or whole numbers for ids.
    """
    if not is_array(entry) or not (MASK in name or name.endswith(IDS)):
        return False
    array, ids = as_array(entry), as_array(first)
    if ids.ndim not in (2, 3) or array.shape != ids.shape[:2]:
        return False
    return array.dtype.kind in "iu" if MASK not in name else bool(np.isin(array, (0, 1)).all())
