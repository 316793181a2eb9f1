"""Values in files, whose arrays are mapped by who reads them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic

import joblib

from sim_compress.core.engines.interface import Arrays, Value
from sim_compress.core.engines.layout import Packed, packed, unpacked
from sim_compress.errors import InputError


@dataclass(frozen=True)
class Stored(Generic[Value]):
    """A value in a file."""

    file: Path

    @property
    def value(self) -> Value:
        """The value; its arrays are mapped read-only, once in a process."""
        return _read(self.file)

    def drop(self) -> None:
        """Remove the file; who has mapped it keeps what it read."""
        self.file.unlink(missing_ok=True)


@dataclass(frozen=True)
class StoredArrays:
    """Arrays in a file, as they lie in memory."""

    packed: Stored[dict[str, Packed]]

    @property
    def value(self) -> Arrays:
        """See `Stored.value`."""
        return unpacked(self.packed.value)

    def drop(self) -> None:
        """See `Stored.drop`."""
        self.packed.drop()


def store_arrays(arrays: Arrays, file: Path) -> StoredArrays:
    """Write arrays; errors as of `store`."""
    return StoredArrays(store(packed(arrays), file))


def store(value: Value, file: Path) -> Stored[Value]:
    """Write a value.

    Raises:
        InputError: there is no room for it.
    """
    try:
        joblib.dump(value, file)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise InputError(
            f"the temporary folder {file.parent.parent} cannot hold what workers share ({error}): make room, "
            "set TMPDIR to another folder, or give fewer samples"
        ) from error
    return Stored(file)


def forget() -> None:
    """Unmap every value that this process has read."""
    _read.cache_clear()


# Tasks of one worker read the same few values.
@cache
def _read(file: Path) -> Any:
    return joblib.load(file, mmap_mode="r")
