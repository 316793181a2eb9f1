"""Ways to spoil an artifact: damage that its digest must find, and hostile files whose digest is right."""

import json
import zlib
from collections.abc import Callable
from hashlib import sha256
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from sim_compress.artifact.container import deflated, sealed
from sim_compress.artifact.spec import DICTIONARY

Mutation = Callable[[Random, bytes], bytes]
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
    "header length": _length,
    "truncated": _truncated,
    "extended": _extended,
    "bytes moved": _moved,
    "bytes removed": _removed,
}


def opened(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Metadata and arrays of an intact artifact."""
    model = load(data)["model"].tobytes()
    end = 36 + int.from_bytes(model[32:36], "little")
    text = zlib.decompressobj(-15, zdict=DICTIONARY).decompress(model[36:end])
    return json.loads(text), model[end:]


def with_text(text: str, arrays: bytes) -> bytes:
    """A file with this text as metadata and the digest that it has."""
    return sealed(deflated(text.encode("utf-8", "surrogatepass")), arrays)


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
    metadata, arrays = opened(data)
    for _ in range(rng.randint(1, 2)):
        _edit(rng, metadata)
    return with_text(json.dumps(metadata), arrays)


def _metadata_text(rng: Random, data: bytes) -> bytes:
    metadata, arrays = opened(data)
    text = bytearray(json.dumps(metadata).encode())
    for _ in range(rng.randint(1, 3)):
        text[rng.randrange(len(text))] = rng.choice(HEADER_BYTES)
    return with_text(text.decode("latin1"), arrays)


def _bomb(rng: Random, data: bytes) -> bytes:
    """Metadata that unpacks to far more than the file, or is nested without end."""
    _, arrays = opened(data)
    text = rng.choice(("[", " ", '{"a":', "1", '["')) * (rng.choice((10**4, 10**6, 3 * 10**7)))
    return with_text(text, arrays)


def _arrays(change: Mutation) -> Mutation:
    """A change of the arrays alone."""

    def mutation(rng: Random, data: bytes) -> bytes:
        metadata, arrays = opened(data)
        return with_text(json.dumps(metadata), change(rng, arrays))

    return mutation


def _any_bits(rng: Random, arrays: bytes) -> bytes:
    return _flipped(rng, arrays, 0, len(arrays))


def _other_bytes(rng: Random, arrays: bytes) -> bytes:
    spoilt = bytearray(arrays)
    start = rng.randrange(len(spoilt))
    end = min(len(spoilt), start + rng.randint(1, 64))
    spoilt[start:end] = bytes([rng.choice((0, 255, rng.randrange(256)))]) * (end - start)
    return bytes(spoilt)


def _inserted(rng: Random, arrays: bytes) -> bytes:
    place = rng.randrange(len(arrays) + 1)
    return arrays[:place] + rng.randbytes(rng.randint(1, 64)) + arrays[place:]


def _both(rng: Random, data: bytes) -> bytes:
    """A change of the arrays and one of the metadata."""
    metadata, arrays = opened(data)
    _edit(rng, metadata)
    change = rng.choice((_any_bits, _other_bytes, _inserted, _removed, _truncated, _moved))
    return with_text(json.dumps(metadata), change(rng, arrays))


def _size_of_text(rng: Random, data: bytes) -> bytes:
    """Another size of the metadata, or another stream of them."""
    model = load(data)["model"].tobytes()
    body = bytearray(model[32:])
    if rng.random() < 0.5:
        body[:4] = rng.choice((0, 1, 2**16, 2**31, 2**32 - 1, len(body) - 4, len(body) - 3)).to_bytes(
            4, "little"
        )
    else:
        body = bytearray(_flipped(rng, bytes(body), 0, 4 + int.from_bytes(body[:4], "little")))
    seal = sha256(body).digest()
    return save({"model": np.frombuffer(seal + body, np.uint8)}, {"sim_compress": '{"version":3}'})


HOSTILE: dict[str, Mutation] = {
    "metadata, sealed": _metadata,
    "metadata text, sealed": _metadata_text,
    "metadata bomb, sealed": _bomb,
    "metadata stream, sealed": _size_of_text,
    "array bits, sealed": _arrays(_any_bits),
    "array bytes, sealed": _arrays(_other_bytes),
    "arrays longer, sealed": _arrays(_inserted),
    "arrays shorter, sealed": _arrays(_removed),
    "arrays cut, sealed": _arrays(_truncated),
    "arrays moved, sealed": _arrays(_moved),
    "metadata and arrays, sealed": _both,
}
