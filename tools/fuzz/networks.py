"""ONNX networks as a subject: to come."""
