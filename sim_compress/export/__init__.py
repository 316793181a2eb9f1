"""Implicit model -> a plain ONNX graph of standard nodes."""

from sim_compress.export.network import to_onnx

__all__ = ["to_onnx"]
