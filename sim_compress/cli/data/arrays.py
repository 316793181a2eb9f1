"""Arrays from .npy and .npz files."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model import Input
from sim_compress.model.maps import Array

NPY, NPZ = b"\x93NUMPY", b"PK\x03\x04"
LABELS = "labels"


def read_inputs(path: Path, expected: Sequence[Input]) -> tuple[dict[str, Array], Array | None]:
    """Inputs by name, (samples, ...), and the labels where the file has them.

    The only array of a file is the only input, whatever its name.

    Raises:
        DataError: the file cannot be read, or its arrays are not the network's inputs.
    """
    arrays = read_arrays(path)
    names = [i.name for i in expected]
    if scalars := sorted(name for name, array in arrays.items() if array.ndim == 0):
        raise DataError(f"{path}: {scalars[0]!r} is a single number, expected an array (samples, ...)")
    labels = None if LABELS in names else arrays.pop(LABELS, None)
    if len(names) == len(arrays) == 1:
        return {names[0]: next(iter(arrays.values()))}, labels
    if set(arrays) != set(names):
        raise DataError(
            f"{path}: expected an array for each input ({', '.join(names)}) and perhaps {LABELS!r}, "
            f"found {', '.join(sorted(arrays)) or 'none'}: name the arrays as the network's inputs"
        )
    return arrays, labels


def read_labels(path: Path) -> Array:
    """Labels: the array `labels` of a file, or its only one.

    Raises:
        DataError: the file cannot be read, or has several arrays and none of them is `labels`.
    """
    arrays = read_arrays(path)
    if LABELS in arrays:
        return arrays[LABELS]
    if len(arrays) != 1:
        raise DataError(f"{path}: expected one array or one named {LABELS!r}, found {', '.join(arrays)}")
    return next(iter(arrays.values()))


def read_arrays(path: Path) -> dict[str, Array]:
    """The arrays of a file by name; that of a .npy file has the name of the file.

    Raises:
        DataError: there is no such file, it is neither .npy nor .npz, or it is damaged.
    """
    try:
        with open(path, "rb") as file:
            return _arrays(file, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}): check the path") from error
    except (EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path}: is damaged or holds no plain arrays ({error}): write it again with numpy.savez"
        ) from error


def _arrays(file: BinaryIO, path: Path) -> dict[str, Array]:
    start = file.read(len(NPY))
    file.seek(0)
    if start == NPY:
        # Mapped: only the batch at work is in memory, however many samples there are.
        return {path.name: np.load(path, mmap_mode="r", allow_pickle=False)}
    if not start.startswith(NPZ):
        raise DataError(f"{path}: expected a .npz or .npy file: write one with numpy.savez")
    with np.load(file, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    # Any zip is opened, as a torch file is one; what is no array comes as bytes.
    if others := [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]:
        raise ValueError(f"{others[0]!r} in it is none")
    return arrays
