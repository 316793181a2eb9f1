"""Where the large arrays of a run lie: in memory, or in files that are mapped."""

import mmap
import os
import tempfile
import weakref
from dataclasses import fields, is_dataclass, replace
from math import prod
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import InputError

Record = TypeVar("Record")
# Bytes of an array that is worth a file of its own.
LEAST = 2**20
# Maps of files that hold arrays; what is written to them is in the file.
_MAPS: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


class Storage(Protocol):
    """Makes room for arrays; where they lie changes no byte of what is computed from them."""

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """An array that is to be filled in place."""
        ...

    def kept(self, value: Record) -> Record:
        """An array, or a dataclass with its arrays, as it is held until nothing refers to it.

        Raises:
            InputError: there is no room for it.
        """
        ...

    def release(self) -> None:
        """Let go of the memory of what is on disk until it is read again."""
        ...


class InMemory:
    """Arrays stay where they were made."""

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """See `Storage.zeros`."""
        return np.zeros(shape)

    def kept(self, value: Record) -> Record:
        """See `Storage.kept`."""
        return value

    def release(self) -> None:
        """See `Storage.release`."""


class OnDisk:
    """Large arrays lie in files without a name in TMPDIR, which go when nothing refers to the arrays.

    Args:
        least: bytes of an array that is put there; LEAST if not given.
    """

    def __init__(self, least: int | None = None) -> None:
        self._least = LEAST if least is None else least

    def zeros(self, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """See `Storage.zeros`."""
        if 8 * prod(shape) < self._least:
            return np.zeros(shape)
        return self._mapped(8 * prod(shape)).view(np.float64).reshape(shape)

    def kept(self, value: Record) -> Record:
        """See `Storage.kept`; the order of axes in memory stays."""
        if isinstance(value, np.ndarray):
            return self._moved(value)
        if is_dataclass(value) and not isinstance(value, type):
            own = {f.name: getattr(value, f.name) for f in fields(value)}
            return replace(value, **{name: self.kept(part) for name, part in own.items()})
        return value

    def release(self) -> None:
        """See `Storage.release`."""
        for held in list(_MAPS):
            _release(held)

    def _moved(self, array: NDArray[Any]) -> Any:
        if array.nbytes < self._least or not array.flags.c_contiguous or _map_of(array) is not None:
            return array
        found = self._mapped(array.nbytes).view(array.dtype).reshape(array.shape)
        found[...] = array
        return found

    def _mapped(self, size: int) -> NDArray[np.uint8]:
        """Zeros in a file of their own."""
        try:
            with tempfile.TemporaryFile(prefix="sim-compress-") as file:
                # Pages that no disk has room for would end the process when they are written to.
                _allocate(file.fileno(), size)
                held = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise InputError(
                f"the temporary folder {tempfile.gettempdir()} cannot hold {size:,} bytes that do not "
                f"fit into memory ({error}): make room, set TMPDIR to another folder, or allow more memory"
            ) from error
        _MAPS.add(held)
        return np.frombuffer(held, np.uint8)


IN_MEMORY = InMemory()


def _allocate(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


def let_go(array: NDArray[Any]) -> None:
    """Let go of the memory of one array where it is on disk, until it is read again."""
    if (held := _map_of(array)) is not None:
        _release(held)


def _release(held: mmap.mmap) -> None:
    if hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)


def _map_of(array: NDArray[Any]) -> mmap.mmap | None:
    """The map of the file that an array lies in, if it is one of ours."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    held = base.obj if isinstance(base, memoryview) else base
    return held if isinstance(held, mmap.mmap) and held in _MAPS else None
