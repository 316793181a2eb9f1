"""Values in files, whose arrays are mapped by who reads them."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic

from sim_compress.core.engines.interface import Arrays, Value
from sim_compress.core.engines.layout import packed, unpacked
from sim_compress.errors import InputError

# Values of `share` that a process holds at once.
READ_ONCE = 8


@dataclass(frozen=True)
class Stored(Generic[Value]):
    """A value in a file."""

    file: Path

    @property
    def value(self) -> Value:
        """The value; its arrays are mapped read-only."""
        return _read_once(self.file)

    def drop(self) -> None:
        """Remove the file; who has mapped it keeps what it read."""
        self.file.unlink(missing_ok=True)


@dataclass(frozen=True)
class StoredArrays:
    """Arrays in a file, as they lie in memory."""

    file: Path

    @property
    def value(self) -> Arrays:
        """The arrays, mapped read-only; the file takes room as long as one of them lives."""
        return unpacked(_read(self.file))

    def drop(self) -> None:
        """See `Stored.drop`."""
        self.file.unlink(missing_ok=True)


def store_arrays(arrays: Arrays, file: Path) -> StoredArrays:
    """Write arrays; errors as of `store`."""
    _write(packed(arrays), file)
    return StoredArrays(file)


def store(value: Value, file: Path) -> Stored[Value]:
    """Write a value.

    Raises:
        InputError: there is no room for it.
    """
    _write(value, file)
    return Stored(file)


def _write(value: object, file: Path) -> None:
    # It takes 45 ms, which runs that need no files do not pay.
    import joblib

    try:
        joblib.dump(value, file)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise InputError(
            f"the temporary folder {file.parent.parent} cannot hold what workers share ({error}): make room, "
            "set TMPDIR to another folder, or give fewer samples"
        ) from error


def forget() -> None:
    """Unmap the values that this process has read."""
    _read_once.cache_clear()


# Tasks of one worker read the same few values, and what they make of one may be dear: a session, a program.
@lru_cache(maxsize=READ_ONCE)
def _read_once(file: Path) -> Any:
    return _read(file)


def _read(file: Path) -> Any:
    import joblib

    return joblib.load(file, mmap_mode="r")
