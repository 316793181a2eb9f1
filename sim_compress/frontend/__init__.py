"""ONNX file -> the exact implicit model, with the cleaned graph that its states can be read from."""

from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.quiet import quiet_options
from sim_compress.frontend.teacher import Teacher, load_teacher

__all__ = ["OPERATORS", "Teacher", "load_teacher", "quiet_options"]
