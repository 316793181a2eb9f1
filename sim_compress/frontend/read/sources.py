"""A network as its user holds it, bytes, an open file or a model in memory: its name and its bytes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import onnx
from google.protobuf.message import EncodeError

from sim_compress.errors import InputError, ModelFileError

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes] | onnx.ModelProto
IN_MEMORY = bytes | bytearray | memoryview


@dataclass(frozen=True, eq=False)
class Content:
    """The bytes of a network.

    Attributes:
        name: what it is called in messages and reports: its path, where it has one.
        data: its bytes.
        folder: where its external data lie; None where that is not known.
    """

    name: Path
    data: bytes
    folder: Path | None


def content_of(source: Source) -> Content:
    """What a source that is not a path holds; an open file is read from where it stands.

    Raises:
        InputError: it is none of these.
        ModelFileError: the file cannot be read, or the model is too large to be written.
    """
    if isinstance(source, onnx.ModelProto):
        return Content(Path("ModelProto"), _serialised(source), None)
    if isinstance(source, IN_MEMORY):
        return Content(Path(f"network of {memoryview(source).nbytes} bytes"), bytes(source), None)
    return _opened(source)


def _serialised(model: onnx.ModelProto) -> bytes:
    try:
        return model.SerializeToString(deterministic=True)
    except (EncodeError, ValueError) as error:
        raise ModelFileError(
            f"ModelProto: cannot be written ({error}); networks over 2 GiB are not supported: cut the "
            "network into parts (onnx.utils.extract_model)"
        ) from error


def _opened(file: Any) -> Content:
    read_on = getattr(file, "read", None)
    if read_on is None:
        raise InputError(
            "expected a path to an ONNX file or artifact, its bytes, a file opened with 'rb', an "
            f"onnx.ModelProto, a torch module or an opened teacher, got {type(file).__name__}"
        )
    named = getattr(file, "name", None)
    name = Path(named) if isinstance(named, str) else Path(type(file).__name__)
    try:
        data = read_on()
    # A file that is closed or open for writing raises one or both.
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{name}: cannot be read ({error}); open the file with 'rb'") from error
    if not isinstance(data, bytes):
        raise ModelFileError(f"{name}: gives {type(data).__name__}, not bytes; open the file with 'rb'")
    return Content(name, data, name.parent if isinstance(named, str) else None)
