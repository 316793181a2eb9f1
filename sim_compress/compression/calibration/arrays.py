"""What counts as an array: tensors on any device, whatever numpy takes, and lists of numbers."""

import sys
from typing import Any

import numpy as np

from sim_compress.errors import DataError
from sim_compress.model.maps import Array


def is_array(value: object) -> bool:
    """Whether this is an array or a tensor, or numbers in lists."""
    return hasattr(value, "__array__") or is_numbers(value)


def is_numbers(value: object) -> bool:
    """Whether this is a list of numbers, or of lists of them."""
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, bool | int | float | np.generic)


def as_array(value: Any) -> Array:
    """A tensor on any device, or anything that numpy takes, as an array.

    Raises:
        DataError: numpy makes no array of it.
    """
    torch = sys.modules.get("torch")
    try:
        if torch is None or not isinstance(value, torch.Tensor):
            return np.asarray(value)
        tensor = value.detach().cpu()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    # A list of rows that differ in length; a sparse, nested or quantised tensor.
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"expected an array or a dense tensor (samples, ...), got {type(value).__name__} of which numpy "
            f"makes no array ({str(error).splitlines()[0]}): give all samples one shape (texts are padded to "
            "one length)"
        ) from error
