"""The file around a model: one tensor of a digest, the metadata as deflated JSON, and arrays."""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save

from sim_compress.artifact.fields import JSON, Field, parse, shown
from sim_compress.artifact.limits import MAX_TEXT
from sim_compress.artifact.packing import Bytes
from sim_compress.artifact.spec import (
    DICTIONARY,
    DIGEST_BYTES,
    DTYPE,
    KEY,
    SIZE_BYTES,
    TENSOR,
    VERSION,
)
from sim_compress.errors import ArtifactError, InputError

# A bare stream: the digest is its check, and the format says which dictionary it needs.
RAW = -zlib.MAX_WBITS
MEMORY_LEVEL = 9


class ForeignFileError(ArtifactError):
    """The file is whole, but of another program or version; the text says what to do."""


def packed(metadata: Mapping[str, JSON], arrays: Iterable[NDArray[Any]]) -> bytes:
    """The bytes of a file.

    Raises:
        InputError: the metadata cannot be stored as JSON.
    """
    try:
        text = json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model's metadata cannot be stored as JSON: {error}") from error
    return sealed(deflated(text.encode()), b"".join(a.tobytes() for a in arrays))


def deflated(text: bytes) -> bytes:
    """The text as a deflate stream that begins with the format's dictionary as its window."""
    packer = zlib.compressobj(
        zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, RAW, MEMORY_LEVEL, zlib.Z_DEFAULT_STRATEGY, DICTIONARY
    )
    return packer.compress(text) + packer.flush()


def sealed(stream: bytes, arrays: bytes, version: JSON = VERSION) -> bytes:
    """A file of these parts with the digest that they have."""
    body = len(stream).to_bytes(SIZE_BYTES, "little") + stream + arrays
    model = np.frombuffer(hashlib.sha256(body).digest() + body, np.uint8)
    return save({TENSOR: model}, {KEY: json.dumps({"version": version}, separators=(",", ":"))})


def opened(data: bytes) -> tuple[Field, Bytes]:
    """The metadata and the bytes of all arrays of a file.

    Raises:
        ForeignFileError: it is no artifact, or one of another version.
        ArtifactError: it is damaged, or claims more metadata than its size allows.
    """
    try:
        views = dict(deserialize(data))
    except SafetensorError as error:
        raise ArtifactError(f"expected a whole safetensors file, found: {error}") from error
    _check_version(_version(data))
    stored = _model(views)
    if hashlib.sha256(stored[DIGEST_BYTES:]).digest() != stored[:DIGEST_BYTES].tobytes():
        raise ArtifactError("the file is damaged: its digest (SHA-256) is not that of its bytes")
    begin = DIGEST_BYTES + SIZE_BYTES
    end = begin + int.from_bytes(stored[DIGEST_BYTES:begin], "little")
    if not begin <= end <= len(stored):
        raise ArtifactError(f"expected metadata of at most {len(stored) - begin} bytes, found {end - begin}")
    text = _inflated(stored[begin:end].tobytes(), len(data))
    return parse(text, "metadata"), np.frombuffer(stored[end:], np.uint8)


def _model(views: Mapping[str, Mapping[str, Any]]) -> memoryview:
    """The bytes of the one tensor."""
    if set(views) != {TENSOR}:
        raise ArtifactError(f"expected one tensor {TENSOR!r}, found {shown(sorted(views))}")
    view, least = views[TENSOR], DIGEST_BYTES + SIZE_BYTES
    if view["dtype"] != DTYPE or len(view["shape"]) != 1 or view["shape"][0] < least:
        found = f"{view['dtype']} of shape {view['shape']}"
        raise ArtifactError(f"tensor {TENSOR}: expected {DTYPE} of shape [{least} or more], found {found}")
    return memoryview(view["data"])


def _version(data: bytes) -> object:
    """What the entry in the safetensors metadata says."""
    length = int.from_bytes(data[:8], "little")
    header = parse(data[8 : 8 + length].decode("utf-8"), "header").value
    strings = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(strings, dict) or KEY not in strings:
        raise ForeignFileError(f"expected a sim-compress artifact, found no metadata {KEY!r}: check the path")
    head = parse(Field(strings[KEY], KEY).text(), KEY).value
    return head.get("version") if isinstance(head, dict) else None


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


def _inflated(stream: bytes, size: int) -> str:
    """The text of the metadata; no more of it is made than a file of this size may hold."""
    most = MAX_TEXT + size
    unpacker = zlib.decompressobj(RAW, zdict=DICTIONARY)
    try:
        text = unpacker.decompress(stream, most + 1)
    except zlib.error as error:
        raise ArtifactError(f"metadata: expected a deflate stream, found an error: {error}") from error
    if len(text) > most:
        raise ArtifactError(f"metadata: expected at most {most} bytes of text, found more")
    if not unpacker.eof or unpacker.unused_data:
        raise ArtifactError("metadata: expected exactly one whole deflate stream")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"metadata: expected UTF-8, found an error: {error}") from error
