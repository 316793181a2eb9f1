"""Plain matrices as one safetensors file, or as a folder for scipy.sparse.load_npz."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy import sparse

from sim_compress.artifact.container import Data, as_json, joined, safetensors_file
from sim_compress.artifact.plain.matrices import Plain
from sim_compress.artifact.spec import PLAIN_KEY
from sim_compress.artifact.tensors import Tensor, tensor_of
from sim_compress.errors import InputError
from sim_compress.model import weight_shape

METADATA, ARRAYS = "model.json", "arrays.npz"


def csr_file(plain: Plain) -> Data:
    """A safetensors file: of each matrix NAME.indptr, NAME.indices, NAME.data and NAME.shape."""
    tensors: dict[str, Tensor] = {}
    for name, matrix in plain.matrices.items():
        shape = np.array(weight_shape(matrix), np.int64)
        parts = {"indptr": matrix.indptr, "indices": matrix.indices, "data": matrix.data, "shape": shape}
        tensors |= {f"{name}.{part}": tensor_of(values) for part, values in parts.items()}
    tensors |= {name: tensor_of(values) for name, values in plain.arrays.items()}
    return joined(safetensors_file({PLAIN_KEY: as_json(plain.metadata)}, tensors))


def write_npz(folder: Path, plain: Plain) -> int:
    """A new folder of NAME.npz for each matrix, arrays.npz and model.json; gives their bytes together.

    The folder is there whole or not at all.

    Raises:
        InputError: something of this name is there, or it cannot be written.
    """
    with _new_folder(folder) as place:
        for name, matrix in plain.matrices.items():
            sparse.save_npz(place / f"{name}.npz", matrix)
        if plain.arrays:
            np.savez_compressed(place / ARRAYS, allow_pickle=False, **plain.arrays)
        (place / METADATA).write_text(json.dumps(plain.metadata, indent=2, sort_keys=True) + "\n")
        return sum(file.stat().st_size for file in place.iterdir())


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder beside the target that takes its name at the end, and leaves nothing where that fails."""
    if target.exists():
        raise InputError(f"{target}: is there already: remove it, or choose another --output")
    temporary = target.with_name(f".sim-compress-{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        os.rename(temporary, target)
    except OSError as error:
        raise InputError(f"{target}: cannot be written ({error}): check the folder and its rights") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
