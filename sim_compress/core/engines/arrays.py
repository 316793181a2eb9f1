"""Read-only arrays that several processes map: one nameless file in memory, gone with its last reader.

The file has no name: however a process ends, the system frees the memory and nothing is left to clean.
"""

import mmap
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sim_compress.core.engines.interface import Arrays
from sim_compress.errors import InputError, SolverError

# Start of every array in the file, in bytes: a cache line.
ALIGNMENT = 64


@dataclass(frozen=True)
class Place:
    """Where one array lies in the file and how to read it."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Literal["C", "F"]


@dataclass(frozen=True)
class Stored:
    """An open file descriptor with arrays in it; only `places` may travel by pickle."""

    descriptor: int
    places: Mapping[str, Place]


def readable(shared: Arrays) -> dict[str, NDArray[Any]]:
    """Contiguous read-only views of arrays, or copies of those that are not contiguous.

    Their strides are those of a fresh array: a unit axis may have any stride, and some keep numpy off BLAS.

    Raises:
        InputError: an array holds Python objects, which no other process can read.
    """
    views = {}
    for name, given in shared.items():
        array = np.asarray(given)
        if array.dtype.hasobject:
            raise InputError(f"shared array {name!r} holds Python objects ({array.dtype}): give numbers")
        order = _order(array)
        views[name] = array.reshape(-1, order=order).reshape(array.shape, order=order)
        views[name].flags.writeable = False
    return views


@contextmanager
def stored(shared: Arrays) -> Iterator[Stored]:
    """A copy of arrays in a nameless file for as long as the context lasts.

    Raises:
        InputError: an array holds Python objects.
        SolverError: there is no room for the copy.
    """
    views = readable(shared)
    places, end = _places(views)
    with _nameless_file() as file:
        try:
            for name, view in views.items():
                file.seek(places[name].offset)
                file.write(view.reshape(-1, order="A").view(np.uint8).data)
            file.truncate(max(end, 1))
            file.flush()
        except OSError as error:
            raise SolverError(
                f"no room to share arrays of {end / 2**20:.0f} MiB with worker processes ({error.strerror}): "
                "free some memory or use the serial engine"
            ) from error
        yield Stored(file.fileno(), places)


def opened(descriptor: int, places: Mapping[str, Place]) -> dict[str, NDArray[Any]]:
    """Map the arrays of a stored file and close the descriptor; the last array to die ends the mapping."""
    try:
        mapping = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)
    return {
        name: np.ndarray(p.shape, p.dtype, buffer=mapping, offset=p.offset, order=p.order)
        for name, p in places.items()
    }


def _places(views: Arrays) -> tuple[dict[str, Place], int]:
    """A place for each array, and the size of the file."""
    places, end = {}, 0
    for name, view in views.items():
        offset = -(-end // ALIGNMENT) * ALIGNMENT
        places[name] = Place(offset, view.shape, view.dtype, _order(view))
        end = offset + view.nbytes
    return places, end


def _order(array: NDArray[Any]) -> Literal["C", "F"]:
    return "F" if array.flags.fnc else "C"


def _nameless_file() -> IO[bytes]:
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("sim-compress"), "wb")
    return tempfile.TemporaryFile()
