"""A torch module as a teacher, exact, with blocks that go by the names of its parts."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx

from sim_compress.errors import MissingExtraError
from sim_compress.frontend.modules.kinds import PREFIX, class_name, is_program, is_script, unwrapped
from sim_compress.frontend.modules.names import name_nodes, named_after_modules
from sim_compress.frontend.modules.signature import module_signature
from sim_compress.frontend.read.network_file import NetworkFile
from sim_compress.frontend.teacher import Teacher, teacher_of
from sim_compress.frontend.weights import taken_out
from sim_compress.model.maps import Array


def load_module(module: Any, examples: Mapping[str, Array]) -> Teacher:
    """Export a module and lower it, exactly, to the state model; the module is left as it was.

    Args:
        module: what `is_module` takes for one. It is read in evaluation mode; an ExportedProgram, or a traced
            module, in the mode that it was made in.
        examples: input name -> (samples, ...), from which shapes and dtypes are taken.

    Raises:
        MissingExtraError: torch's exporter is not installed.
        UnsupportedError: torch cannot export the module, or a node has no place in the state model.
    """
    if importlib.util.find_spec("onnxscript") is None:
        raise MissingExtraError("onnxscript", "torch", "compression of a torch module")
    from sim_compress.frontend.modules.exporting import exported

    module = unwrapped(module)
    ordered = module_signature(module).order(examples)
    found = exported(module, {name: examples[name] for name in ordered})
    model = found.model
    name_nodes(model.graph, _parameters(module))
    teacher = named_after_modules(teacher_of(_file(model, class_name(module))), found.keys)
    return replace(teacher, notes=(*teacher.notes, *found.notes))


def _file(model: onnx.ModelProto, name: str) -> NetworkFile:
    """The network as if it had come from a file; its bytes do not outlive this."""
    data = model.SerializeToString(deterministic=True)
    size, digest = len(data), hashlib.sha256(data).hexdigest()
    del data
    return NetworkFile(Path(name), *taken_out(model), size, digest)


def _parameters(module: Any) -> dict[str, list[str]]:
    """Name of a parameter or buffer in what torch exports -> all names of the same tensor in the module."""
    state = module.state_dict if is_program(module) else module.state_dict(keep_vars=True)
    prefixes = ("", PREFIX) if is_script(module) else ("",)
    names: dict[int, list[str]] = {}
    for name, tensor in state.items():
        names.setdefault(id(tensor), []).append(name)
    return {prefix + name: names[id(tensor)] for prefix in prefixes for name, tensor in state.items()}
