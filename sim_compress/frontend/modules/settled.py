"""How a module stands while it is exported: in evaluation mode, without a cache; everything is put back."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.modules.kinds import class_name

# Arguments by which torch's operators know that they train. What has no statistics of its own normalises each
# sample by itself.
TRAINS, NO_STATISTICS = ("train", "training"), "no_stats"
# The parameter by which transformers' decoders are told whether to cache keys and values.
CACHE = "use_cache"


def check_values(module: Any) -> None:
    """UnsupportedError where a parameter has no values to compress."""
    name = class_name(module)
    for key, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise UnsupportedError(
                f"{name}: {key!r} has no shape before the first call: call the module once on a batch"
            )
        if tensor.device.type == "meta":
            raise UnsupportedError(
                f"{name}: {key!r} is on the meta device, without values: call module.to_empty(device='cpu') "
                "and load its weights"
            )


def check_evaluates(program: Any) -> None:
    """UnsupportedError where what torch.export made was made in training mode, which is part of it.

    Args:
        program: an ExportedProgram, or a GraphModule as its `module()` is.
    """
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or schema.overload_name == NO_STATISTICS:
            continue
        given = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | node.kwargs
        if any(given.get(name) is True for name in TRAINS):
            raise UnsupportedError(
                f"{type(program).__name__}: node {node.name!r} ({schema.name}) computes as in training: call "
                "module.eval() before torch.export.export"
            )


def mode_of(part: Any) -> bool | None:
    """Whether a module is in training mode; None where it has no mode, as torch.jit froze it."""
    return getattr(part, "training", None)


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode; every part gets its own mode back.

    It is put back by calls of `train` from the outside inwards, as some modules merge weights there. What
    torch.jit froze and what torch.export made has its mode for good.
    """
    modes = [(part, mode) for part in module.modules() if (mode := mode_of(part)) is not None]
    try:
        if modes:
            # Where torch.export made it there is no other mode.
            with suppress(NotImplementedError):
                module.eval()
        if isinstance(module, torch.fx.GraphModule):
            check_evaluates(module)
        yield
    finally:
        for part, training in modes:
            if part.training != training:
                with suppress(NotImplementedError):
                    part.train(training)
        for part, training in modes:
            part.training = training


@contextmanager
def without_cache(module: Any) -> Iterator[bool]:
    """transformers' models without cached keys among their outputs; whether forward has a say in it."""
    configs = {id(c): c for part in module.modules() if (c := vars(part).get("config")) is not None}
    cached = [c for c in configs.values() if getattr(c, "use_cache", None) is True]
    try:
        for config in cached:
            config.use_cache = False
        yield bool(cached) and CACHE in inspect.signature(module.forward).parameters
    finally:
        for config in cached:
            config.use_cache = True
