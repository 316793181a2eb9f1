"""The network's file: read, hashed and checked before anything is made of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.inliner import inline_local_functions

from sim_compress.errors import ModelFileError, SimCompressError, UnsupportedError
from sim_compress.frontend.budget import in_units
from sim_compress.frontend.external_data import read_external, tensors
from sim_compress.frontend.foreign import foreign_file
from sim_compress.frontend.screening import check_functions, check_stored
from sim_compress.frontend.weights import Weights, taken_out
from sim_compress.model.maps import Array

# Operators of older files broadcast by other rules, and onnxruntime promises nothing for them.
OLDEST_OPSET = 7
# Clean-up writes the whole network as one protobuf message, which holds no more.
MAX_BYTES = 2**31 - 1
# Bytes of a file that are in memory at once while it is hashed.
HASHED = 2**20


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """A readable ONNX network; size and sha256 cover the file and its external data.

    Attributes:
        weights: the values of large initialisers, which are stubs in the model.
    """

    path: Path
    model: onnx.ModelProto
    weights: Weights
    size: int
    sha256: str


def read_network(path: Path) -> NetworkFile:
    """Parse the file, load its external data and inline its local functions.

    Raises:
        ModelFileError: the file is missing, a folder, empty, truncated, too large, not ONNX, without its
            external data, without inputs or outputs, or a tensor has not the values it declares.
        UnsupportedError: the file was made for an operator set older than this package reads, or its
            functions expand to more than a network can be.
    """
    _check_sizes(path, [path])
    digest, data = hashlib.sha256(), _bytes(path)
    model, size = _parsed(path, data), len(data)
    digest.update(data)
    del data
    external = _external_files(path, model)
    _check_sizes(path, [path, *external])
    for file in external:
        size += _hashed(file, digest.update)
    weights = _external_data(path, model)
    if not model.graph.input:
        raise ModelFileError(f"{path}: the network has no inputs; export it with at least one graph input")
    if not model.graph.output:
        raise ModelFileError(f"{path}: the network has no outputs; the file may be cut off, export it again")
    _check_opset(path, model)
    try:
        check_stored(model)
        check_functions(model)
    except SimCompressError as error:
        raise type(error)(f"{path}: {error}") from error
    model, inner = taken_out(model)
    inlined = inline_local_functions(model) if model.functions else model
    return NetworkFile(path, inlined, weights | inner, size, digest.hexdigest())


def _check_sizes(path: Path, files: list[Path]) -> None:
    """ModelFileError where the network's files are no files, or too large to read at all."""
    odd = next((f for f in files if f.exists() and not (f.is_file() or f.is_dir())), None)
    if odd:
        raise ModelFileError(f"{odd}: is a device or a pipe; expected an ONNX network in a file")
    size = sum(f.stat().st_size for f in files if f.is_file())
    if size > MAX_BYTES:
        raise ModelFileError(
            f"{path}: takes {in_units(size)} with its external data, and networks over 2 GiB are not "
            "supported; cut the network into parts (onnx.utils.extract_model)"
        )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file; expected an ONNX network") from error
    except IsADirectoryError as error:
        raise ModelFileError(f"{path}: is a folder; expected the .onnx file inside it") from error
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _parsed(path: Path, data: bytes) -> onnx.ModelProto:
    if not data:
        raise ModelFileError(f"{path}: is empty; expected an ONNX network")
    if foreign := foreign_file(data):
        raise ModelFileError(f"{path}: {foreign}")
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError as error:
        raise ModelFileError(
            f"{path}: is not an ONNX network, or is cut off ({len(data)} bytes do not parse); "
            "download or export it again"
        ) from error
    if not model.opset_import or not model.HasField("graph"):
        raise ModelFileError(f"{path}: is not an ONNX network (no graph, or no operator set, in it)")
    return model


def _external_files(path: Path, model: onnx.ModelProto) -> list[Path]:
    """The files that hold weights beside the network, sorted by name."""
    external = (t for t in tensors(model) if t.data_location == onnx.TensorProto.EXTERNAL)
    names = {entry.value for t in external for entry in t.external_data if entry.key == "location"}
    folder = path.parent.resolve()
    outside = sorted(n for n in names if not _inside(folder, n))
    if outside:
        raise ModelFileError(
            f"{path}: its weights are said to be in {outside[0]!r}, outside of {path.parent}, where nothing "
            "is read; put them beside the network and export it again"
        )
    missing = sorted(n for n in names if not (path.parent / n).is_file())
    if missing:
        raise ModelFileError(
            f"{path}: its weights are in {missing[0]!r}, which is missing; put that file into {path.parent}"
        )
    return [path.parent / n for n in sorted(names)]


def _inside(folder: Path, name: str) -> bool:
    """Whether a name is of a file in a folder or below; a link may not lead out of it."""
    try:
        return (folder / name).resolve().is_relative_to(folder)
    except (OSError, ValueError):
        return False


def _hashed(path: Path, update: Callable[[bytes], None]) -> int:
    """Add a file to a hash without holding it; gives its bytes."""
    size = 0
    try:
        with path.open("rb") as file:
            while part := file.read(HASHED):
                update(part)
                size += len(part)
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    return size


def _external_data(path: Path, model: onnx.ModelProto) -> dict[str, Array]:
    """Large weights of the files beside the network; what else is there is in the model then."""
    try:
        return read_external(model, path.parent)
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: its external weights cannot be loaded ({error}); export the network again"
        ) from error


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), None)
    if opset is not None and opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"{path}: operator set {opset} is older than {OLDEST_OPSET}; "
            "convert the file with onnx.version_converter"
        )
