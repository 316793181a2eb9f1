"""One process at a time in a run folder."""

import os
from pathlib import Path

from sim_compress.errors import InputError

try:
    import fcntl
# Windows has none; there a file that is open cannot be replaced, which is refused by name.
except ImportError:
    fcntl = None


class Lock:
    """An advisory lock on a file, which the system releases when its process ends, however that is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._file is not None

    def acquire(self) -> None:
        """Take the lock, once.

        Raises:
            InputError: another process has it.
        """
        if self._file is not None:
            return
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(file)
                raise InputError(
                    f"{self._path.parent}: another process works with this run folder: wait for it, or "
                    "choose another output"
                ) from error
        self._file = file

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
