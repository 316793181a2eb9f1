"""ONNX file -> the exact implicit model, with the cleaned graph that its states can be read from."""

from sim_compress.frontend.lowering import StateTensors
from sim_compress.frontend.operators import OPERATORS
from sim_compress.frontend.quiet import quiet_options
from sim_compress.frontend.teacher import Teacher, load_teacher

__all__ = ["OPERATORS", "StateTensors", "Teacher", "load_teacher", "quiet_options"]
