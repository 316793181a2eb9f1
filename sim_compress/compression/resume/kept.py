"""The result of a step as it is written: arrays and JSON."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

# Key of the JSON in the metadata of a safetensors file.
FIELDS = "fields"


@dataclass(frozen=True, eq=False)
class Kept:
    """What is written of a result.

    Attributes:
        arrays: by name.
        fields: JSON values.
    """

    arrays: Mapping[str, NDArray[Any]]
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of names, dtypes, shapes and values."""
        total = hashlib.sha256(_text(self.fields).encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            total.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            total.update(array.reshape(-1).view(np.uint8).data)
        return total.hexdigest()

    @property
    def bytes(self) -> int:
        """Of all arrays."""
        return sum(a.nbytes for a in self.arrays.values())

    def save(self, path: Path) -> None:
        """Write one safetensors file."""
        arrays = {name: np.ascontiguousarray(a) for name, a in self.arrays.items()}
        save_file(arrays, path, {FIELDS: _text(self.fields)})

    @classmethod
    def load(cls, path: Path) -> "Kept":
        """Read what `save` wrote.

        Raises:
            ValueError, OSError, SafetensorError: it is damaged.
        """
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return cls(arrays, json.loads(metadata.get(FIELDS, "")))


# What reading a damaged file raises.
DAMAGED = (OSError, ValueError, KeyError, TypeError, SafetensorError)


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True)
