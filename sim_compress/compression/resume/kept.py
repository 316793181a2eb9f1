"""The result of a step as it is written: arrays and JSON."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.storage import let_go, mapped_file

# Key of the JSON in the metadata of a safetensors file.
FIELDS = "fields"
# safetensors' names of numpy's types, and the places where its arrays begin.
DTYPES = {
    name: np.dtype(kind)
    for name, kind in (
        ("F64", "<f8"),
        ("F32", "<f4"),
        ("F16", "<f2"),
        ("I64", "<i8"),
        ("I32", "<i4"),
        ("U8", "<u1"),
        ("BOOL", "?"),
    )
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
ALIGNMENT = 8


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
            total.update(_bytes(array))
            let_go(array)
        return total.hexdigest()

    @property
    def bytes(self) -> int:
        """Of all arrays."""
        return sum(a.nbytes for a in self.arrays.values())

    def save(self, path: Path) -> None:
        """Write one safetensors file, one array after the other: safetensors copies all of them at once."""
        # Each then begins at a multiple of its item's size.
        ordered = sorted(self.arrays.items(), key=lambda item: -item[1].itemsize)
        header: dict[str, Any] = {"__metadata__": {FIELDS: _text(self.fields)}}
        end = 0
        for name, array in ordered:
            start, end = end, end + array.nbytes
            kind, shape = NAMES[array.dtype.newbyteorder("=")], list(array.shape)
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % ALIGNMENT)
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, array in ordered:
                file.write(_bytes(np.ascontiguousarray(array)))
                let_go(array)

    @classmethod
    def load(cls, path: Path) -> "Kept":
        """Read what `save` wrote; arrays are mapped, and writing to them leaves the file as it is.

        Raises:
            ValueError, OSError, KeyError, TypeError: it is damaged.
        """
        content = _mapped(path)
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(bytes(content[8:start]))
        fields = json.loads(header.pop("__metadata__")[FIELDS])
        return cls({name: _array(content, start, entry) for name, entry in header.items()}, fields)


# What reading a damaged file raises.
DAMAGED = (OSError, ValueError, KeyError, TypeError, AttributeError)


def _mapped(path: Path) -> Any:
    # Windows does not remove a file that is mapped.
    if os.name == "nt":
        return bytearray(path.read_bytes())
    return mapped_file(path)


def _array(content: Any, start: int, entry: Mapping[str, Any]) -> NDArray[Any]:
    """One array of a file; ValueError where its place is not that of its shape."""
    dtype, shape = DTYPES[entry["dtype"]], tuple(entry["shape"])
    first, stop = entry["data_offsets"]
    if not 0 <= first <= stop <= len(content) - start or stop - first != dtype.itemsize * prod(shape):
        raise ValueError("an array is not as long as its shape says")
    return np.frombuffer(content, dtype, prod(shape), start + first).reshape(shape)


def _bytes(array: NDArray[Any]) -> Any:
    return array.reshape(-1).view(np.uint8).data


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True)
