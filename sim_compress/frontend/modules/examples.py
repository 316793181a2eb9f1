"""Calibration inputs as a call of the module: a few samples, on its device and in its precision."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils import _pytree as pytree

from sim_compress.errors import DataError
from sim_compress.model.maps import Array

# One more than the batch of 1 that torch takes for a constant.
EXAMPLES = 2


@dataclass(frozen=True, eq=False)
class Call:
    """What a module is called with.

    Attributes:
        names: of the tensors, in the order in which forward gets them.
        args, kwargs: the tensors.
        bound: parameter of forward -> what it gets: a tensor, or several for *x and **x.
    """

    names: tuple[str, ...]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    bound: Mapping[str, Any]

    @property
    def free_batches(self) -> Any:
        """For torch.export: the first axis of every tensor is free; it takes no such wish for **x."""
        if any(isinstance(given, dict) for given in self.bound.values()):
            return None
        return pytree.tree_map_only(torch.Tensor, lambda _: {0: torch.export.Dim.AUTO}, dict(self.bound))


def call_of(module: Any, tensors: Mapping[str, Any]) -> Call:
    """Tensors by name as the arguments of a module's forward."""
    signature = inspect.signature(module.forward)
    kinds = {p.name: p.kind for p in signature.parameters.values()}
    alone = {n for n in tensors if kinds.get(n) is inspect.Parameter.POSITIONAL_ONLY}
    if isinstance(module, torch.fx.GraphModule):
        # What torch.export made takes inputs as they were given to it, which is mostly in order.
        alone = {n for n in tensors if kinds.get(n) is inspect.Parameter.POSITIONAL_OR_KEYWORD}
    # One that no parameter is called after is the first of *x, where nothing is taken by other names.
    unnamed = {n for n in tensors if n not in kinds and n == several(signature)}
    args = tuple(tensors[n] for n in tensors if n in alone | unnamed)
    kwargs = {n: t for n, t in tensors.items() if n not in alone | unnamed}
    bound = dict(signature.bind(*args, **kwargs).arguments)
    order = pytree.tree_leaves(bound)
    names = {id(tensor): name for name, tensor in tensors.items()}
    return Call(tuple(names[id(tensor)] for tensor in order), args, kwargs, bound)


def several(signature: inspect.Signature) -> str:
    """What the first of *x is called, as by torch.export; empty where there is no *x."""
    return next(
        (f"{p.name}_0" for p in signature.parameters.values() if p.kind is inspect.Parameter.VAR_POSITIONAL),
        "",
    )


def as_tensors(module: Any, examples: Mapping[str, Array]) -> dict[str, Any]:
    """Examples as the module takes them: on its device, numbers in its precision, integers as they are.

    Raises:
        DataError: an example holds no numbers.
    """
    state = [*module.parameters(), *module.buffers()]
    device = state[0].device if state else torch.device("cpu")
    real = next((t.dtype for t in state if t.is_floating_point()), torch.float32)
    tensors = {}
    for name, array in examples.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"input {name!r}: expected numbers, got dtype {array.dtype}")
        tensor = torch.from_numpy(_few(array)).to(device)
        tensors[name] = tensor.to(real) if tensor.is_floating_point() else tensor
    return tensors


def _few(array: Array) -> Array:
    """The first samples, two of them in any case; torch computes with no unsigned numbers but bytes."""
    few = np.repeat(array[:1], EXAMPLES, axis=0) if len(array) < EXAMPLES else array[:EXAMPLES]
    unsigned = few.dtype.kind == "u" and few.dtype.itemsize > 1
    return np.array(few, np.int64 if unsigned else few.dtype.newbyteorder("="), order="C")
