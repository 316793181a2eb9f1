"""How a module stands while it is exported: in evaluation mode, without a cache; everything is put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sim_compress.errors import UnsupportedError
from sim_compress.frontend.modules.kinds import class_name

# Arguments by which torch's operators know that they train. What has no statistics of its own normalises each
# sample by itself.
TRAINS, NO_STATISTICS = ("train", "training"), "no_stats"


def check_values(module: Any) -> None:
    """UnsupportedError where a parameter has no values to compress."""
    from torch.nn.parameter import is_lazy

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
    """UnsupportedError where an ExportedProgram was made in training mode, which is part of it."""
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or schema.overload_name == NO_STATISTICS:
            continue
        given = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | node.kwargs
        if any(given.get(name) is True for name in TRAINS):
            raise UnsupportedError(
                f"ExportedProgram: node {node.name!r} ({schema.name}) computes as in training: call "
                "module.eval() before torch.export.export"
            )


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode; every part gets its own mode back.

    It is put back by calls of `train` from the outside inwards, as some modules merge weights there.
    """
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, training in modes:
            if part.training != training:
                part.train(training)
        for part, training in modes:
            part.training = training


@contextmanager
def without_cache(module: Any) -> Iterator[bool]:
    """transformers' models without cached keys and values among their outputs; whether there were any."""
    configs = {id(c): c for part in module.modules() if (c := vars(part).get("config")) is not None}
    cached = [c for c in configs.values() if getattr(c, "use_cache", None) is True]
    try:
        for config in cached:
            config.use_cache = False
        yield bool(cached)
    finally:
        for config in cached:
            config.use_cache = True
