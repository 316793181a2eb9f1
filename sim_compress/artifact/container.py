"""The file around a model: safetensors with a head that is JSON, its digest, and the metadata."""

import hashlib
import json
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open

from sim_compress.artifact.coding.deflate import deflated, inflated
from sim_compress.artifact.coding.packing import Bytes
from sim_compress.artifact.fields import JSON, Field, parse, shown
from sim_compress.artifact.limits import MAX_TEXT
from sim_compress.artifact.spec import (
    BYTES,
    DIGEST,
    ITEM_BYTES,
    KEY,
    METADATA,
    NEEDS,
    NO_DIGEST,
    PLAIN_KEY,
    VERSION,
    WINDOW,
    WORDS,
)
from sim_compress.artifact.tensors import Tensor, Tensors
from sim_compress.errors import ArtifactError, InputError
from sim_compress.storage import map_of, mapped_file, on_disk

# The bytes of a file, in memory or mapped.
Data = bytes | mmap.mmap
# Files of so many bytes are mapped, and their large constants read where they are.
MAPPED = 2**28
# A header of this many bytes and more is one that safetensors refuses.
MOST_HEADER = 100_000_000
ALIGNMENT = 8


# A file piece by piece.
Parts = tuple[Any, ...]


class ForeignFileError(ArtifactError):
    """The file is whole, but of another program or version; the text says what to do."""


@dataclass(frozen=True)
class File:
    """A safetensors file taken apart.

    Attributes:
        data: all of its bytes.
        tensors: by name.
        header: the JSON text at its beginning, parsed.
        head: what stands under the key of this package, parsed.
        version: of the format.
    """

    data: Data
    tensors: Mapping[str, Tensor]
    header: Mapping[str, Any]
    head: Mapping[str, Any]
    version: int


def taken_apart(data: Data) -> File:
    """The parts of a file of any version; what is mapped is one that safetensors has opened already.

    Raises:
        ForeignFileError: it is no artifact.
        ArtifactError: it is damaged.
    """
    views: dict[str, dict[str, Any]] = {}
    if isinstance(data, bytes):
        try:
            views = dict(deserialize(data))
        except SafetensorError as error:
            raise ArtifactError(f"expected a whole safetensors file, found: {error}") from error
    length = int.from_bytes(data[:8], "little")
    header = parse(data[8 : 8 + length].decode("utf-8"), "header").value
    strings = header.get("__metadata__") if isinstance(header, dict) else None
    if isinstance(strings, dict) and PLAIN_KEY in strings:
        raise ForeignFileError(
            "expected a sim-compress artifact, found plain matrices that were exported from one: "
            "give the artifact itself"
        )
    if not isinstance(header, dict) or not isinstance(strings, dict) or KEY not in strings:
        raise ForeignFileError(f"expected a sim-compress artifact, found no metadata {KEY!r}: check the path")
    head = parse(Field(strings[KEY], KEY).text(), KEY).value
    version = head.get("version") if isinstance(head, dict) else None
    if not isinstance(head, dict) or type(version) is not int:
        raise ArtifactError(f"expected format version {VERSION}, found {shown(version)}")
    if isinstance(data, bytes):
        tensors = {
            name: Tensor(str(v["dtype"]), tuple(v["shape"]), np.frombuffer(v["data"], np.uint8))
            for name, v in views.items()
        }
    else:
        tensors = {
            name: Tensor(entry["dtype"], tuple(entry["shape"]), _placed(data, 8 + length, entry))
            for name, entry in header.items()
            if name != "__metadata__"
        }
    return File(data, tensors, header, head, version)


def _placed(data: Data, start: int, entry: Mapping[str, Any]) -> Bytes:
    """The bytes of one tensor where they are."""
    first, stop = entry["data_offsets"]
    return np.frombuffer(data, np.uint8, stop - first, start + first)


def opened_file(path: Path) -> Data:
    """The bytes of a file; a large one is mapped once safetensors has taken it for whole.

    Raises:
        OSError: it cannot be read.
        ArtifactError: it is damaged.
    """
    if path.stat().st_size < MAPPED:
        return path.read_bytes()
    try:
        with safe_open(path, "numpy"):
            return mapped_file(path, steady=True)
    except SafetensorError as error:
        raise ArtifactError(f"expected a whole safetensors file, found: {error}") from error


def opened(file: File) -> tuple[Field, Tensors]:
    """The metadata and the tensors of a file of this version.

    Raises:
        ForeignFileError: it needs what only later programs know.
        ArtifactError: it is damaged, or claims more metadata than its size allows.
    """
    head = dict(file.head)
    del head["version"]
    needs = _checked_needs(Field(head.pop(NEEDS, []), NEEDS))
    claimed = Field(head.pop(DIGEST, None), DIGEST).text()
    if digest(file.data) != claimed:
        raise ArtifactError("the file is damaged: its digest (SHA-256) is not that of its bytes")
    _check_places(file)
    tensors = dict(file.tensors)
    if METADATA not in tensors:
        return Field(head, METADATA), Tensors(tensors, len(file.data), claimed, needs)
    if head:
        raise ArtifactError(f"expected the metadata in one place, found {shown(min(head))} beside the tensor")
    packed = tensors.pop(METADATA)
    if packed.dtype != BYTES or len(packed.shape) != 1:
        raise ArtifactError(f"{METADATA}: expected {BYTES} of one axis, found {packed.dtype}")
    return parse(_text(packed.data, len(file.data)), METADATA), Tensors(
        tensors, len(file.data), claimed, needs
    )


def _checked_needs(field: Field) -> frozenset[str]:
    """Before all else: what a file needs may change any other rule."""
    needs = [need.text() for need in field.items()]
    if unknown := [need for need in needs if need not in WORDS]:
        raise ForeignFileError(
            f"the file needs {shown(unknown[0])}, which this program does not know: "
            "run  pip install --upgrade sim-compress"
        )
    return frozenset(needs)


def digest(data: Data) -> str:
    """That of a file of this version: SHA-256 of its bytes with zeros for the digits of this digest.

    Raises:
        ArtifactError: the digits do not stand in the header as a writer puts them.
    """
    return _digest((data,))


def _digest(parts: Sequence[Any]) -> str:
    """That of a file in parts, the first of which has its whole header."""
    place, hashed = _digest_place(parts[0]), hashlib.sha256()
    with memoryview(parts[0]) as first:
        for part in (first[:place], NO_DIGEST.encode(), first[place + len(NO_DIGEST) :], *parts[1:]):
            hashed.update(part)
    return hashed.hexdigest()


def _digest_place(data: Data) -> int:
    """Where the digits stand; ArtifactError where they do not stand in the header as a writer puts them."""
    mark = f'\\"{DIGEST}\\":\\"'.encode()
    found = data.find(mark, 8, 8 + int.from_bytes(data[:8], "little"))
    if found < 0:
        raise ArtifactError(f'expected "{DIGEST}" in the header, its digits behind a colon, found none')
    return found + len(mark)


def _check_places(file: File) -> None:
    """Every tensor at a multiple of its item's size, so that a map of the file can be read in place."""
    start = 8 + int.from_bytes(file.data[:8], "little")
    for name, entry in file.header.items():
        if name != "__metadata__":
            place, size = start + entry["data_offsets"][0], ITEM_BYTES.get(entry["dtype"], 1)
            if place % size:
                raise ArtifactError(f"{name}: expected a place that {size} divides, found byte {place}")


def _text(stream: Bytes, size: int) -> str:
    """The text of the metadata; no more of it is made than a file of this size may hold."""
    try:
        return inflated(stream.data, MAX_TEXT + size, WINDOW).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{METADATA}: expected UTF-8, found an error: {error}") from error
    except ArtifactError as error:
        raise ArtifactError(f"{METADATA}: {error}") from error


def packed(
    metadata: Mapping[str, JSON], tensors: Mapping[str, Tensor], plain: bool, needs: Sequence[str] = ()
) -> Parts:
    """The bytes of a file, its metadata as plain text in the head or deflated in a tensor.

    Raises:
        InputError: the metadata cannot be stored as JSON.
    """
    text = as_json(metadata)
    if plain:
        return sealed(text, tensors, needs=needs)
    stream = np.frombuffer(deflated(text.encode(), window=WINDOW), np.uint8)
    return sealed("{}", {METADATA: Tensor(BYTES, stream.shape, stream), **tensors}, needs=needs)


def as_json(value: object) -> str:
    """Canonical JSON: sorted keys, no spaces.

    Raises:
        InputError: the value cannot be stored as JSON.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the model's metadata cannot be stored as JSON: {error}") from error


def sealed(
    text: str, tensors: Mapping[str, Tensor], version: JSON = VERSION, needs: Sequence[str] = ()
) -> Parts:
    """A file of these tensors with the digest that it has; the keys of the object `text` are in its head."""
    words = {NEEDS: list(needs)} if needs else {}
    head = as_json({DIGEST: NO_DIGEST, "version": version, **words})
    header, *rest = safetensors_file({KEY: head[:-1] + ("," if len(text) > 2 else "") + text[1:]}, tensors)
    place = _digest_place(header)
    return (header[:place] + _digest((header, *rest)).encode() + header[place + len(NO_DIGEST) :], *rest)


def size_of(parts: Parts) -> int:
    """Bytes of a file."""
    return sum(memoryview(part).nbytes for part in parts)


def joined(parts: Parts) -> Data:
    """A file in one; a large one in a mapped file without a name, part by part.

    Raises:
        InputError: there is no room for it.
    """
    size = size_of(parts)
    if size < MAPPED:
        return b"".join(bytes(part) for part in parts)
    found, place = on_disk(size), 0
    for part in parts:
        own = np.frombuffer(part, np.uint8)
        found[place : place + len(own)] = own
        place += len(own)
    return map_of(found)


def safetensors_file(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Parts:
    """A safetensors file in parts, its header first.

    Tensors stand in order of falling item size, so that each is aligned to its own. safetensors' own writer
    puts metadata keys into any order, and its order of tensors is its version's.
    """
    order = sorted(tensors.items(), key=lambda item: -ITEM_BYTES[item[1].dtype])
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in order:
        start, end = end, end + tensor.data.nbytes
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    if len(text) > MOST_HEADER:
        raise InputError("the model has more matrices and metadata than a safetensors header holds")
    return (len(text).to_bytes(8, "little") + text, *(np.ascontiguousarray(t.data) for _, t in order))
