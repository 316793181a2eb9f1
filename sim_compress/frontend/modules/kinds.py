"""Which kind of torch object a network is; torch is not imported for it: whoever holds one has."""

import sys
from typing import Any

# Under these names torch.compile, DataParallel and DistributedDataParallel keep the module that they wrap.
COMPILED, PARALLEL = "_orig_mod", "module"
# What calls a script for torch's exporter holds it under this name: its weights go by their names behind it.
PREFIX = "script."


def is_module(network: object) -> bool:
    """Whether this is an nn.Module, a GraphModule or ScriptModule among them, or an ExportedProgram."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.nn.Module | torch.export.ExportedProgram)


def is_program(network: object) -> bool:
    """Whether this is an ExportedProgram, whose mode and inputs are fixed already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.export.ExportedProgram)


def is_script(network: object) -> bool:
    """Whether this is a module that torch.jit scripted, traced or loaded."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.jit.ScriptModule)


def is_onnx_program(network: object) -> bool:
    """Whether this is what torch.onnx.export returns."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.onnx.ONNXProgram)


def unwrapped(module: Any) -> Any:
    """The module itself, without torch.compile, DataParallel and DistributedDataParallel around it."""
    if is_program(module):
        return module
    import torch

    parallel = torch.nn.DataParallel | torch.nn.parallel.DistributedDataParallel
    children = dict(module.named_children())
    if COMPILED in children:
        return unwrapped(children[COMPILED])
    return unwrapped(children[PARALLEL]) if isinstance(module, parallel) else module


def class_name(module: Any) -> str:
    """What a module is called in messages and reports."""
    return module.original_name if is_script(module) else type(module).__name__
