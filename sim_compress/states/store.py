"""The live cut of the graph: batches of states, in memory up to a bound and on disk beyond it."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sim_compress.errors import InputError
from sim_compress.model.maps import Array

# Beyond this many bytes batches go to disk and are mapped when read, so memory does not grow with samples.
MEMORY_BOUND = 128 * 2**20


class Store:
    """Arrays by (name, batch number); a context that removes its files when left, also by an exception."""

    def __init__(self, bound: int = MEMORY_BOUND) -> None:
        self._bound = bound
        self._held = 0
        self._arrays: dict[tuple[str, int], Array | Path] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._files = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._arrays.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def put(self, name: str, batch: int, array: Array) -> None:
        """Keep one batch of a state.

        Raises:
            InputError: the disk is full.
        """
        if self._held + array.nbytes <= self._bound:
            self._held += array.nbytes
            self._arrays[name, batch] = array
        else:
            self._arrays[name, batch] = self._write(array)

    def get(self, name: str, batch: int) -> Array:
        """One batch of a state; mapped read-only where it lies on disk."""
        held = self._arrays[name, batch]
        return np.load(held, mmap_mode="r") if isinstance(held, Path) else held

    def drop(self, names: Iterable[str]) -> None:
        """Forget every batch of the named states."""
        gone = set(names)
        for key in [k for k in self._arrays if k[0] in gone]:
            held = self._arrays.pop(key)
            if isinstance(held, Path):
                held.unlink()
            else:
                self._held -= held.nbytes

    def _write(self, array: Array) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="sim-compress-")
        self._files += 1
        path = Path(self._folder.name) / f"{self._files}.npy"
        try:
            np.save(path, array)
        except OSError as error:
            raise InputError(
                f"the temporary folder {path.parent.parent} cannot hold {array.nbytes:,} bytes of states "
                f"({error}): make room, set TMPDIR to another folder, or give fewer samples"
            ) from error
        return path
