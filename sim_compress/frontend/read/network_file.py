"""The network's file: read, hashed and checked before anything is made of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx.inliner import inline_local_functions

from sim_compress.errors import ModelFileError, SimCompressError, UnsupportedError
from sim_compress.frontend.budget import in_units
from sim_compress.frontend.nodes import STANDARD
from sim_compress.frontend.read.external_data import read_external, tensors
from sim_compress.frontend.read.foreign import foreign_file
from sim_compress.frontend.read.screening import check_functions, check_stored
from sim_compress.frontend.read.sources import Content, Source, content_of
from sim_compress.frontend.weights import Weights, taken_out
from sim_compress.model.maps import Array

# Operators of older files broadcast by other rules, and onnxruntime promises nothing for them.
OLDEST_OPSET = 7
# One protobuf message holds no more: weights beyond that stand in files beside it.
MAX_BYTES = 2**31 - 1
# Networks of more bytes than this in files beside them are not read at all: 17 billion parameters.
LARGEST = 2**36
# Weights of so many bytes stay in their files: they are mapped, and memory that is asked for otherwise takes
# the place of what was read of them.
MAPPED = 2**30
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


def read_network(source: Source | Content) -> NetworkFile:
    """Parse the file, load its external data and inline its local functions.

    Args:
        source: a path, the file's bytes, the file opened with "rb", or a model in memory, which is left as it
            is. External data are looked for beside the file.

    Raises:
        ModelFileError: the file is missing, a folder, empty, truncated, too large, not ONNX, without its
            external data, without inputs or outputs, or a tensor has not the values it declares.
        UnsupportedError: the file was made for an operator set older than this package reads, or its
            functions expand to more than a network can be.
        InputError: the source is none of these.
    """
    content = _content(source)
    path, folder, size = content.name, content.folder, len(content.data)
    digest, model = hashlib.sha256(content.data), _parsed(path, content.data)
    external = _external_files(content, model)
    _check_sizes(path, size, external)
    # Of a file the bytes are held here alone.
    del content, source
    for file in external:
        size += _hashed(file, digest.update)
    weights = {} if folder is None else _external_data(path, folder, model, external)
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


def _content(source: Source | Content) -> Content:
    if isinstance(source, Content):
        return source
    if not isinstance(source, str | PathLike):
        return content_of(source)
    path = Path(source)
    _check_sizes(path, 0, [path])
    return Content(path, _bytes(path), path.parent)


def _check_sizes(path: Path, held: int, files: list[Path]) -> None:
    """ModelFileError where the network's files are no files, or too large to read at all.

    Args:
        path: what the network is called.
        held: bytes of it that are read already.
        files: those to be read.
    """
    odd = next((f for f in files if f.exists() and not (f.is_file() or f.is_dir())), None)
    if odd:
        raise ModelFileError(f"{odd}: is a device or a pipe; expected an ONNX network in a file")
    size = held + sum(f.stat().st_size for f in files if f.is_file())
    if not held and size > MAX_BYTES:
        raise ModelFileError(
            f"{path}: takes {in_units(size)}, and one ONNX file holds no more than 2 GiB; export the network "
            "with external data (onnx.save(..., save_as_external_data=True))"
        )
    if size > LARGEST:
        raise ModelFileError(
            f"{path}: takes {in_units(size)} with its external data, and networks over {in_units(LARGEST)} "
            "are not supported; cut the network into parts (onnx.utils.extract_model)"
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


def _external_files(content: Content, model: onnx.ModelProto) -> list[Path]:
    """The files that hold weights beside the network, sorted by name."""
    external = (t for t in tensors(model) if t.data_location == onnx.TensorProto.EXTERNAL)
    names = sorted({entry.value for t in external for entry in t.external_data if entry.key == "location"})
    path, folder = content.name, content.folder
    if folder is None and names:
        raise ModelFileError(
            f"{path}: its weights are in {names[0]!r} beside a file that is not known; give the path of the "
            "network, or a model with its weights loaded (onnx.load)"
        )
    if folder is None:
        return []
    outside = [n for n in names if not _inside(folder.resolve(), n)]
    if outside:
        raise ModelFileError(
            f"{path}: its weights are said to be in {outside[0]!r}, outside of {folder}, where nothing "
            "is read; put them beside the network and export it again"
        )
    missing = [n for n in names if not (folder / n).is_file()]
    if missing:
        raise ModelFileError(
            f"{path}: its weights are in {missing[0]!r}, which is missing; put that file into {folder}"
        )
    return [folder / n for n in names]


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


def _external_data(
    path: Path, folder: Path, model: onnx.ModelProto, external: list[Path]
) -> dict[str, Array]:
    """Large weights of the files beside the network; what else is there is in the model then."""
    try:
        return read_external(model, folder, mapped=sum(f.stat().st_size for f in external) >= MAPPED)
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ModelFileError(
            f"{path}: its external weights cannot be loaded ({error}); export the network again"
        ) from error


def _check_opset(path: Path, model: onnx.ModelProto) -> None:
    opset = next((o.version for o in model.opset_import if o.domain in STANDARD), None)
    if opset is not None and opset < OLDEST_OPSET:
        raise UnsupportedError(
            f"{path}: operator set {opset} is older than {OLDEST_OPSET}; "
            "convert the file with onnx.version_converter"
        )
