"""Ways to spoil an artifact: damage that its digest must find, and hostile files whose digest is right."""

import json
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from sim_compress.artifact.container import digest

Mutation = Callable[[Random, bytes], bytes]
TYPES = {"<f4": "F32", "<f8": "F64", "|u1": "U8", "<f2": "F16", "<i8": "I64"}
# In place of any value of the metadata.
NASTY: tuple[Any, ...] = (
    *(0, 1, -1, 2, 7, 255, 2**31 - 1, 2**31, 2**63, 2**64, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, -1.5, 1e-300, 1e300, True, False, None),
    *("", "relu", "inf", "float16", "maps.0", "A.0.0", "\ud800", "x" * 1000),
    *([], {}, [0], [-1], [1] * 9, [2**31 - 1] * 3, {"name": "relu"}, [[[[]]]], [1.5]),
)
HEADER_BYTES = b'0123456789,:"[]{}-e.\\ufnt'


def _flipped(rng: Random, data: bytes, low: int, high: int) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        spoilt[rng.randrange(low, high)] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def _body(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def _bits(rng: Random, data: bytes) -> bytes:
    return _flipped(rng, data, _body(data), len(data))


def _header_bits(rng: Random, data: bytes) -> bytes:
    return _flipped(rng, data, 0, _body(data))


def _header_text(rng: Random, data: bytes) -> bytes:
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        spoilt[rng.randrange(8, _body(data))] = rng.choice(HEADER_BYTES)
    return bytes(spoilt)


def _header_value(rng: Random, data: bytes) -> bytes:
    header = json.loads(data[8 : _body(data)])
    _edit(rng, header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[_body(data) :]


def _places(rng: Random, data: bytes) -> bytes:
    """The entries of two tensors in the header change places."""
    header = json.loads(data[8 : _body(data)])
    names = [name for name in header if name != "__metadata__"]
    one, two = rng.choice(names), rng.choice(names)
    header[one], header[two] = header[two], header[one]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[_body(data) :]


def _length(rng: Random, data: bytes) -> bytes:
    size = rng.choice((0, 1, 2**20, 2**32, 2**63, 2**64 - 1, _body(data) - 9, _body(data) - 7, len(data)))
    return size.to_bytes(8, "little") + data[8:]


def _truncated(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _extended(rng: Random, data: bytes) -> bytes:
    return data + rng.randbytes(rng.randint(1, 100))


def _moved(rng: Random, data: bytes) -> bytes:
    """A stretch of bytes written over another one."""
    size = rng.randint(1, min(4096, len(data) // 4))
    source, target = rng.randrange(len(data) - size), rng.randrange(len(data) - size)
    return data[:target] + data[source : source + size] + data[target + size :]


def _removed(rng: Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 100) :]


DAMAGE: dict[str, Mutation] = {
    "bits": _bits,
    "header bits": _header_bits,
    "header text": _header_text,
    "header value": _header_value,
    "tensors swapped": _places,
    "header length": _length,
    "truncated": _truncated,
    "extended": _extended,
    "bytes moved": _moved,
    "bytes removed": _removed,
}


def opened(data: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Metadata and the other tensors of an intact artifact."""
    tensors = dict(load(data))
    return json.loads(zlib.decompress(tensors.pop("metadata").tobytes())), tensors


def sealed(text: str, tensors: dict[str, np.ndarray]) -> bytes:
    """A file with this text as metadata and the digest that it has."""
    packed = zlib.compress(text.encode("utf-8", "surrogatepass"))
    stored = {**tensors, "metadata": np.frombuffer(packed, np.uint8)}
    seal = digest((name, TYPES[a.dtype.str], a.shape, a.tobytes()) for name, a in stored.items())
    return save(stored, {"sim_compress": json.dumps({"sha256": seal, "version": 2})})


def _edit(rng: Random, value: Any) -> None:
    """One change somewhere inside a JSON object or array."""
    place = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys)
        deeper = place[key]
        if not isinstance(deeper, dict | list) or not deeper or rng.random() < 0.15:
            break
        place = deeper
    kind = rng.randrange(6)
    if kind == 0 and isinstance(place, dict):
        del place[key]
    elif kind == 1 and isinstance(place, list):
        place.insert(rng.randrange(len(place) + 1), rng.choice(NASTY))
    elif kind == 2 and isinstance(deeper, int):
        place[key] = deeper + rng.choice((-1, 1))
    elif kind == 3:
        place[key] = place[rng.choice(keys)]
    else:
        place[key] = rng.choice(NASTY)


def _metadata(rng: Random, data: bytes) -> bytes:
    metadata, tensors = opened(data)
    for _ in range(rng.randint(1, 2)):
        _edit(rng, metadata)
    return sealed(json.dumps(metadata), tensors)


def _metadata_text(rng: Random, data: bytes) -> bytes:
    metadata, tensors = opened(data)
    text = bytearray(json.dumps(metadata).encode())
    for _ in range(rng.randint(1, 3)):
        text[rng.randrange(len(text))] = rng.choice(HEADER_BYTES)
    return sealed(text.decode("latin1"), tensors)


def _bomb(rng: Random, data: bytes) -> bytes:
    """Metadata that unpacks to far more than the file, or is nested without end."""
    _, tensors = opened(data)
    text = rng.choice(("[", " ", '{"a":', "1", '["')) * (rng.choice((10**4, 10**6, 3 * 10**7)))
    return sealed(text, tensors)


def _tensor(change: Callable[[Random, np.ndarray], np.ndarray]) -> Mutation:
    """A change of one tensor's values, of those that the metadata asks for."""

    def mutation(rng: Random, data: bytes) -> bytes:
        metadata, tensors = opened(data)
        name = rng.choice(sorted(tensors))
        tensors[name] = np.ascontiguousarray(change(rng, tensors[name]))
        return sealed(json.dumps(metadata), tensors)

    return mutation


def _other_bits(rng: Random, values: np.ndarray) -> np.ndarray:
    data = values.tobytes()
    return np.frombuffer(_flipped(rng, data, 0, len(data)) if data else data, values.dtype).reshape(
        values.shape
    )


def _other_bytes(rng: Random, values: np.ndarray) -> np.ndarray:
    spoilt = bytearray(values.tobytes())
    start = rng.randrange(len(spoilt) or 1)
    end = min(len(spoilt), start + rng.randint(1, 64))
    spoilt[start:end] = bytes([rng.choice((0, 255, rng.randrange(256)))]) * (end - start)
    return np.frombuffer(bytes(spoilt), values.dtype).reshape(values.shape)


def _other_length(rng: Random, values: np.ndarray) -> np.ndarray:
    flat = values.ravel()
    return (
        flat[: rng.randrange(len(flat) + 1)]
        if rng.random() < 0.5
        else np.append(flat, flat[: rng.randint(1, 9)])
    )


def _other_type(rng: Random, values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(rng.choice(("<f4", "<f8", "<f2", "<i8", "u1")))


def _other_place(rng: Random, data: bytes) -> bytes:
    metadata, tensors = opened(data)
    one, two = rng.choice(sorted(tensors)), rng.choice(sorted(tensors))
    tensors[one], tensors[two] = tensors[two], tensors[one]
    return sealed(json.dumps(metadata), tensors)


HOSTILE: dict[str, Mutation] = {
    "metadata, sealed": _metadata,
    "metadata text, sealed": _metadata_text,
    "metadata bomb, sealed": _bomb,
    "tensor bits, sealed": _tensor(_other_bits),
    "tensor bytes, sealed": _tensor(_other_bytes),
    "tensor length, sealed": _tensor(_other_length),
    "tensor type, sealed": _tensor(_other_type),
    "tensors swapped, sealed": _other_place,
}
