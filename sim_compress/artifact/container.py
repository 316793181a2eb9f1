"""The file around a model: safetensors, a digest of all it holds, and the metadata as compressed JSON."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from sim_compress.artifact.fields import JSON, Field, parse, shown
from sim_compress.artifact.limits import MAX_TEXT
from sim_compress.artifact.spec import DTYPES, KEY, METADATA, VERSION
from sim_compress.artifact.tensors import Tensors
from sim_compress.errors import ArtifactError, InputError


class ForeignFileError(ArtifactError):
    """The file is whole, but of another program or version; the text says what to do."""


def packed(metadata: Mapping[str, JSON], tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: the metadata cannot be stored as JSON.
    """
    try:
        text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model's metadata cannot be stored as JSON: {error}") from error
    stored = {**tensors, METADATA: np.frombuffer(zlib.compress(text.encode(), 9), np.uint8)}
    names = {np.dtype(code): name for name, code in DTYPES.items()}
    seal = digest((name, names[a.dtype], a.shape, a.tobytes()) for name, a in stored.items())
    # safetensors keeps its metadata in a hash map: with one key the order cannot vary.
    return save(stored, {KEY: json.dumps({"sha256": seal, "version": VERSION}, separators=(",", ":"))})


def digest(tensors: Iterable[tuple[str, str, Sequence[int], bytes]]) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, in order of the names."""
    total = hashlib.sha256()
    for name, dtype, shape, data in sorted(tensors, key=lambda tensor: tensor[0]):
        total.update(f"{name} {dtype} [{','.join(map(str, shape))}]\n".encode())
        total.update(data)
    return total.hexdigest()


def opened(data: bytes) -> tuple[Field, Tensors]:
    """The metadata and the other tensors behind the bytes of a file.

    Raises:
        ForeignFileError: it is no artifact, or one of another version.
        ArtifactError: it is damaged, or claims more metadata than its size allows.
    """
    tensors = Tensors(data)
    head = _head(data)
    if digest(tensors.contents()) != head.get("sha256"):
        raise ArtifactError("the file is damaged: its digest (sha256) is not that of its tensors")
    return parse(_inflated(tensors.take(METADATA, ("U8",)).tobytes(), len(data)), METADATA), tensors


def _head(data: bytes) -> dict[str, Any]:
    """The entry of the safetensors metadata, if of the version this code reads."""
    length = int.from_bytes(data[:8], "little")
    header = parse(data[8 : 8 + length].decode("utf-8"), "header").value
    strings = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(strings, dict) or KEY not in strings:
        raise ForeignFileError(f"expected a sim-compress artifact, found no metadata {KEY!r}: check the path")
    head = parse(Field(strings[KEY], KEY).text(), KEY).value
    version = head.get("version") if isinstance(head, dict) else None
    _check_version(version)
    return head if isinstance(head, dict) else {}


def _check_version(version: object) -> None:
    """Before all else: in another version, any other rule may differ."""
    if type(version) is not int:
        raise ArtifactError(f"expected format version {VERSION}, found {shown(version)}")
    if version > VERSION:
        raise ForeignFileError(
            f"format version {shown(version)} is newer than {VERSION}, the newest this program reads: "
            "run  pip install --upgrade sim-compress"
        )
    if version < VERSION:
        raise ForeignFileError(
            f"format version {shown(version)} is older than {VERSION}, the only one this program reads: "
            "compress the network again, or read the file with the sim-compress that wrote it"
        )


def _inflated(compressed: bytes, size: int) -> str:
    """The text of the metadata; no more of it is made than a file of this size may hold."""
    most = MAX_TEXT + size
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(compressed, most + 1)
    except zlib.error as error:
        raise ArtifactError(f"tensor {METADATA}: expected a zlib stream, found an error: {error}") from error
    if len(text) > most:
        raise ArtifactError(f"tensor {METADATA}: expected at most {most} bytes of text, found more")
    if not stream.eof or stream.unused_data:
        raise ArtifactError(f"tensor {METADATA}: expected exactly one whole zlib stream")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"tensor {METADATA}: expected UTF-8, found an error: {error}") from error
