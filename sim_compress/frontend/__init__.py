"""ONNX file or torch module -> the exact implicit model, with the graph that its states can be read from."""

from sim_compress.frontend.lower.lowering import StateTensors
from sim_compress.frontend.modules import is_module, is_onnx_program, load_module, module_signature
from sim_compress.frontend.modules.signature import Signature, is_answer
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.quiet import quiet_options, with_weights
from sim_compress.frontend.read.foreign import is_safetensors
from sim_compress.frontend.read.network_file import read_network
from sim_compress.frontend.read.sources import Content, Source, content_of
from sim_compress.frontend.teacher import Teacher, load_teacher, teacher_of

__all__ = [
    "OPERATORS",
    "Content",
    "Signature",
    "Source",
    "StateTensors",
    "Teacher",
    "content_of",
    "is_answer",
    "is_module",
    "is_onnx_program",
    "is_safetensors",
    "load_module",
    "load_teacher",
    "module_signature",
    "quiet_options",
    "read_network",
    "teacher_of",
    "with_weights",
]
