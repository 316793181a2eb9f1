"""Torch modules, scripted modules and exported programs as teachers, through torch's exporters to ONNX."""

from sim_compress.frontend.modules.kinds import is_module, is_onnx_program
from sim_compress.frontend.modules.loading import load_module
from sim_compress.frontend.modules.signature import module_signature

__all__ = ["is_module", "is_onnx_program", "load_module", "module_signature"]
