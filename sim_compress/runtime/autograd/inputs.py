"""Inputs of a module as torch users give them: in order, by keyword or in a dict; tensors or arrays."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sim_compress.errors import DataError
from sim_compress.model import Input


def named_inputs(
    expected: Sequence[Input], given: Sequence[Any], keywords: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Inputs by name.

    Args:
        expected: the model's inputs.
        given: what was given in order; a dict alone holds inputs by name.
        keywords: what was given by name.

    Raises:
        DataError: too few, too many or others than the model has, or one twice.
    """
    names = [i.name for i in expected]
    if len(given) == 1 and isinstance(given[0], Mapping) and not keywords:
        found = given[0]
    elif len(given) == 1 and len(names) > 1 and not keywords:
        raise DataError(f"the model has the inputs {', '.join(names)}: pass a dict")
    elif len(given) > len(names):
        raise DataError(
            f"expected the inputs {', '.join(names)}, got {len(given)} in order: leave the others out"
        )
    elif twice := [name for name in names[: len(given)] if name in keywords]:
        raise DataError(f"input {twice[0]!r} is given in order and by name: give it once")
    else:
        found = {**dict(zip(names, given, strict=False)), **keywords}
    if set(found) != set(names):
        raise DataError(f"expected the inputs {sorted(names)}, got {sorted(map(str, found))}")
    return found


def as_tensor(expected: Input, value: Any, device: torch.device) -> Tensor:
    """An input as a tensor; arrays and lists of numbers come onto the module's device.

    Raises:
        DataError: torch makes no tensor of it, or it is on another device.
    """
    if not isinstance(value, Tensor):
        return _from_array(expected, value).to(device)
    if value.device != device:
        raise DataError(
            f"input {expected.name!r}: expected a tensor on {device}, where the module is, got one on "
            f"{value.device}: move one of them with .to()"
        )
    return value


def _from_array(expected: Input, value: Any) -> Tensor:
    try:
        array = np.asarray(value)
        if array.dtype.kind == "u":
            # torch computes with no unsigned numbers but bytes.
            array = array.astype(np.int64)
        # A copy in this machine's order of bytes: torch takes no other, and no array that is read only.
        return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"input {expected.name!r}: expected a tensor or an array of numbers, got {type(value).__name__} "
            f"({str(error).splitlines()[0]})"
        ) from error
