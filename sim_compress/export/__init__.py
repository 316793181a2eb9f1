"""Implicit model -> a plain ONNX graph of standard nodes."""

from sim_compress.export.files import Exported, files_of
from sim_compress.export.network import exported, to_onnx
from sim_compress.export.source import Source, source_of

__all__ = ["Exported", "Source", "exported", "files_of", "source_of", "to_onnx"]
