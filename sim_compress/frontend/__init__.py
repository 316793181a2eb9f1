"""ONNX file -> the exact implicit model, with the cleaned graph that its states can be read from."""

from sim_compress.frontend.lowering import StateTensors
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.quiet import quiet_options, with_weights
from sim_compress.frontend.teacher import Teacher, load_teacher
from sim_compress.frontend.torch_module import is_module, load_module, module_inputs

__all__ = [
    "OPERATORS",
    "StateTensors",
    "Teacher",
    "is_module",
    "load_module",
    "load_teacher",
    "module_inputs",
    "quiet_options",
    "with_weights",
]
