"""Networks in other formats than ONNX: recognised by their first bytes, never opened."""

PICKLE = (
    "is a torch pickle, which is not read: loading one runs code that its author chose. Load it where you "
    "trust it and call sim_compress.compress(module, calibration, settings) from Python, or write an ONNX "
    "file with torch.onnx.export(module, inputs, 'model.onnx', dynamo=True)"
)
KERAS = "is a Keras or HDF5 file: convert it to ONNX with tf2onnx, then give the .onnx file"
TFLITE = "is a TensorFlow Lite file: convert it to ONNX with tf2onnx, then give the .onnx file"
SAFETENSORS = (
    "holds weights without a network (safetensors): load them into their torch module and call "
    "sim_compress.compress(module, calibration, settings) from Python; artifacts end in .safetensors"
)
ZIP, HDF5, PICKLED = b"PK\x03\x04", b"\x89HDF", (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
# Names of a file's first entries stand in clear at its beginning.
HEAD = 4096


def foreign_file(data: bytes) -> str | None:
    """What a file is and what to do with it, None where it may be ONNX."""
    head = data[:HEAD]
    if head.startswith(PICKLED) or (head.startswith(ZIP) and (b"data.pkl" in head or b"/version" in head)):
        return PICKLE
    if head.startswith(HDF5) or (head.startswith(ZIP) and b"config.json" in head):
        return KERAS
    if head[4:8] == b"TFL3":
        return TFLITE
    return SAFETENSORS if is_safetensors(data) else None


def is_safetensors(data: bytes) -> bool:
    """Whether these are bytes of a safetensors file, as an artifact is."""
    return data[8:10] == b'{"' and int.from_bytes(data[:8], "little") < len(data)
