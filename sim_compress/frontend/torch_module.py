"""A torch module as a teacher, through torch's own exporter to ONNX in memory."""

import hashlib
import importlib.util
import inspect
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sim_compress.errors import MissingExtraError, UnsupportedError
from sim_compress.frontend.module_names import name_nodes, named_after_modules
from sim_compress.frontend.network_file import NetworkFile
from sim_compress.frontend.quiet import first_line
from sim_compress.frontend.teacher import Teacher, teacher_of
from sim_compress.frontend.weights import taken_out
from sim_compress.model.maps import Array

# One more than the batch of 1 that torch takes for a constant.
EXAMPLES = 2
SUMMARY = "## Exception summary"


def is_module(network: object) -> bool:
    """Whether this is an nn.Module, a GraphModule among them, or an ExportedProgram.

    torch is not imported for it: whoever holds one of these has.
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(network, torch.nn.Module | torch.export.ExportedProgram)


def module_inputs(module: Any) -> tuple[str, ...]:
    """Names of the inputs that a call must be given."""
    if is_program(module):
        return tuple(module.graph_signature.user_inputs)
    parameters = inspect.signature(module.forward).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(p.name for p in parameters if p.kind in plain and p.default is inspect.Parameter.empty)


def is_program(module: object) -> bool:
    """Whether this is an ExportedProgram, whose shapes are fixed already."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(module, torch.export.ExportedProgram)


def load_module(module: Any, examples: Mapping[str, Array]) -> Teacher:
    """Export a module and lower it, exactly, to the state model; the module is left as it was.

    Args:
        module: an nn.Module or ExportedProgram.
        examples: input name -> (samples, ...), from which shapes and dtypes are taken.

    Raises:
        MissingExtraError: torch's exporter is not installed.
        UnsupportedError: torch cannot export the module, or a node has no place in the state model.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise MissingExtraError("onnxscript", "torch", "compression of a torch module")
    with _quiet():
        model = _exported(module, examples)
    state = module.state_dict if is_program(module) else module.state_dict()
    name_nodes(model.graph, set(state))
    data = model.SerializeToString(deterministic=True)
    name, size, digest = type(module).__name__, len(data), hashlib.sha256(data).hexdigest()
    del data
    file = NetworkFile(Path(name), *taken_out(model), size, digest)
    return named_after_modules(teacher_of(file))


def _exported(module: Any, examples: Mapping[str, Array]) -> Any:
    """The module as an ONNX model with a free batch, where torch finds that it is free."""
    import torch

    if is_program(module):
        return _model(module, (), {})
    batch = {name: {0: torch.export.Dim.AUTO} for name in examples}
    with _evaluating(module), torch.no_grad():
        return _model(module, _tensors(module, examples), {"dynamic_shapes": batch})


def _model(module: Any, inputs: Any, options: Mapping[str, Any]) -> Any:
    import torch

    given = {"kwargs": inputs} if inputs else {}
    try:
        program = torch.onnx.export(module, (), **given, dynamo=True, verbose=False, **options)
    except torch.onnx.OnnxExporterError as error:
        raise UnsupportedError(
            f"{type(module).__name__}: torch cannot export this module to ONNX ({_reason(error)}); rewrite "
            "what it names, or export the part of it that is supported with torch.onnx.export"
        ) from error
    assert program is not None
    return program.model_proto


def _reason(error: Exception) -> str:
    """What went wrong, without torch's advice and escape sequences."""
    _, _, summary = str(error).partition(SUMMARY)
    return first_line(RuntimeError(summary.strip() or str(error)))


def _tensors(module: Any, examples: Mapping[str, Array]) -> dict[str, Any]:
    """Examples as the module takes them: on its device, numbers in its precision, integers as they are."""
    import torch

    state = [*module.parameters(), *module.buffers()]
    device = state[0].device if state else torch.device("cpu")
    real = next((t.dtype for t in state if t.is_floating_point()), torch.float32)
    tensors = {}
    for name, array in examples.items():
        tensor = torch.from_numpy(np.ascontiguousarray(array[:EXAMPLES])).to(device)
        tensors[name] = tensor.to(real) if tensor.is_floating_point() else tensor
    return tensors


@contextmanager
def _evaluating(module: Any) -> Iterator[None]:
    """The module in evaluation mode; every part gets its own mode back."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter logs and warns of what it tries on the way."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
