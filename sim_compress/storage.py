"""Where large arrays lie: in memory, or in files that are mapped."""

import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sim_compress.errors import InputError

Record = TypeVar("Record")
# Bytes of an array that is worth a file of its own.
LEAST = 2**20
# Entries that are looked at together.
PIECE = 2**20
# Maps that can be read again when their memory is gone: what was written to them is in their files.
_MAPS: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
# Maps of whole files that have names.
_FILES: weakref.WeakKeyDictionary[mmap.mmap, Path] = weakref.WeakKeyDictionary()


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
        return on_disk(8 * prod(shape), np.float64).reshape(shape)

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
        if array.nbytes < self._least or not array.flags.c_contiguous or is_mapped(array):
            return array
        found = on_disk(array.nbytes, array.dtype).reshape(array.shape)
        found[...] = array
        return found


IN_MEMORY = InMemory()


def on_disk(size: int, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
    """Zeros of so many bytes in a file without a name in TMPDIR, which begin on a page of memory.

    Raises:
        InputError: there is no room for it.
    """
    try:
        with tempfile.TemporaryFile(prefix="sim-compress-") as file:
            # Pages that no disk has room for would end the process when they are written to.
            _allocate(file.fileno(), size)
            held = mmap.mmap(file.fileno(), size)
    except OSError as error:
        raise InputError(
            f"the temporary folder {tempfile.gettempdir()} cannot hold {size:,} bytes that do not fit into "
            f"memory ({error}): make room, set TMPDIR to another folder, or allow more memory"
        ) from error
    _MAPS.add(held)
    # A view of another type would have a larger array as its base, of which scipy copies a part.
    return np.frombuffer(held, dtype)


def map_of(array: NDArray[np.uint8]) -> mmap.mmap:
    """The map behind all of what `on_disk` gave."""
    held = _buffer_of(array)
    assert isinstance(held, mmap.mmap), "on_disk made it"
    return held


def mapped_file(path: Path, *, steady: bool = False) -> mmap.mmap:
    """The bytes of a file that is not empty; what is written to them stays in memory.

    Args:
        path: of the file.
        steady: nothing is ever written to them, so that `Storage.release` may let go of them too.

    Raises:
        OSError, ValueError: it cannot be mapped.
    """
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    if steady:
        _MAPS.add(held)
        _FILES[held] = path.resolve()
    return held


def place_of(array: NDArray[Any]) -> tuple[Path, int] | None:
    """The file that nothing is written to in which an array stands in order, and its first byte there."""
    held = _buffer_of(array)
    if not isinstance(held, mmap.mmap) or held not in _FILES or not array.flags.c_contiguous:
        return None
    return _FILES[held], array.ctypes.data - np.frombuffer(held, np.uint8).ctypes.data


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether an array lies in a file."""
    return isinstance(_buffer_of(array), mmap.mmap)


def pieces(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Views of an array in parts, for what would make a temporary array of the size of all of it."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.T.reshape(-1)
    for start in range(0, flat.size, PIECE):
        yield flat[start : start + PIECE]


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
    """The map of the file that an array lies in, if it can be let go of."""
    held = _buffer_of(array)
    return held if isinstance(held, mmap.mmap) and held in _MAPS else None


def _buffer_of(array: NDArray[Any]) -> Any:
    """What holds the memory of an array."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base.obj if isinstance(base, memoryview) else base
