"""The hash that names a set of inputs in provenance and reports."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from sim_compress.model import Input
from sim_compress.model.maps import Array

# Samples converted at a time: all at once would take the memory that batches save.
PART = 256


def digest(expected: Sequence[Input], inputs: Mapping[str, Array]) -> str:
    """sha256 over names, dtypes, shapes and values of checked inputs as the model sees them."""
    dtypes = {i.name: np.dtype(i.dtype) for i in expected}
    total = hashlib.sha256()
    for name in sorted(inputs):
        array = inputs[name]
        total.update(f"{name} {dtypes[name].str} {array.shape} ".encode())
        for start in range(0, len(array), PART):
            total.update(array[start : start + PART].astype(dtypes[name]).tobytes())
    return total.hexdigest()
