"""Ways to spoil an artifact: damage that its digest must find, and hostile files whose digest is right."""

import json
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import numpy as np

from sim_compress.artifact.coding.deflate import deflated, inflated
from sim_compress.artifact.container import sealed, taken_apart
from sim_compress.artifact.spec import DIGEST, ITEM_BYTES, METADATA
from sim_compress.artifact.tensors import Tensor

Mutation = Callable[[Random, bytes], bytes]
# In place of any value of the metadata.
NASTY: tuple[Any, ...] = (
    *(0, 1, -1, 2, 7, 255, 2**31 - 1, 2**31, 2**63, 2**64, -(2**63), 10**30),
    *(0.0, -0.0, 0.5, -1.5, 1e-300, 1e300, True, False, None),
    *("", "relu", "inf", "float16", "bias.0", "A.0.0", "\ud800", "x" * 1000),
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


def opened(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and tensors of an intact artifact."""
    file = taken_apart(data)
    tensors = dict(file.tensors)
    head = {key: value for key, value in file.head.items() if key not in ("version", DIGEST)}
    if METADATA in tensors:
        head = json.loads(inflated(tensors.pop(METADATA).data.tobytes(), 2**30))
    return head, tensors


def with_text(text: str, tensors: Mapping[str, Tensor]) -> bytes:
    """A file with this text as metadata and the digest that it has."""
    return with_stream(deflated(text.encode("utf-8", "surrogatepass")), tensors)


def with_stream(stream: bytes, tensors: Mapping[str, Tensor]) -> bytes:
    """A file with these bytes as its tensor of metadata and the digest that it has."""
    packed = np.frombuffer(stream, np.uint8)
    return sealed("{}", {METADATA: Tensor("U8", packed.shape, packed), **tensors})


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
    return with_text(json.dumps(metadata), tensors)


def _metadata_text(rng: Random, data: bytes) -> bytes:
    metadata, tensors = opened(data)
    text = bytearray(json.dumps(metadata).encode())
    for _ in range(rng.randint(1, 3)):
        text[rng.randrange(len(text))] = rng.choice(HEADER_BYTES)
    return with_text(text.decode("latin1"), tensors)


def _bomb(rng: Random, data: bytes) -> bytes:
    """Metadata that unpacks to far more than the file, or is nested without end."""
    _, tensors = opened(data)
    text = rng.choice(("[", " ", '{"a":', "1", '["')) * (rng.choice((10**4, 10**6, 3 * 10**7)))
    return with_text(text, tensors)


def _stream(rng: Random, data: bytes) -> bytes:
    """Another stream of the metadata."""
    metadata, tensors = opened(data)
    stream = deflated(json.dumps(metadata).encode())
    return with_stream(rng.choice((_any_bits, _removed, _truncated, _inserted))(rng, stream), tensors)


def _tensors(change: Callable[[Random, dict[str, Tensor]], object]) -> Mutation:
    """A change of the tensors alone."""

    def mutation(rng: Random, data: bytes) -> bytes:
        metadata, tensors = opened(data)
        change(rng, tensors)
        return with_text(json.dumps(metadata), tensors)

    return mutation


def _in_one(change: Mutation) -> Callable[[Random, dict[str, Tensor]], None]:
    """Other bytes in one tensor, of the shape that they then have."""

    def mutation(rng: Random, tensors: dict[str, Tensor]) -> None:
        name = rng.choice([n for n, t in tensors.items() if t.data.size] or [""])
        if name:
            old = tensors[name]
            size = ITEM_BYTES[old.dtype]
            spoilt = change(rng, old.data.tobytes())
            spoilt = spoilt[: len(spoilt) // size * size]
            shape = old.shape if len(spoilt) == old.data.nbytes else (len(spoilt) // size,)
            tensors[name] = Tensor(old.dtype, shape, np.frombuffer(spoilt, np.uint8))

    return mutation


def _left_out(rng: Random, tensors: dict[str, Tensor]) -> None:
    del tensors[rng.choice(list(tensors))]


def _swapped(rng: Random, tensors: dict[str, Tensor]) -> None:
    """The tensors of two names, or one of them twice."""
    first, second = rng.choice(list(tensors)), rng.choice(list(tensors))
    tensors[first], tensors[second] = tensors[second], rng.choice((tensors[first], tensors[second]))


def _renamed(rng: Random, tensors: dict[str, Tensor]) -> None:
    name = rng.choice(list(tensors))
    tensors[rng.choice(("bias", "A.0.0", name + ".values", name[:-1], ""))] = tensors.pop(name)


def _reshaped(rng: Random, tensors: dict[str, Tensor]) -> None:
    """Another dtype or shape for the same bytes."""
    name = rng.choice(list(tensors))
    data = tensors[name].data
    dtype = rng.choice([d for d, size in ITEM_BYTES.items() if not data.nbytes % size])
    count = data.nbytes // ITEM_BYTES[dtype]
    shape = rng.choice(((count,), (1, count), (count, 1), (1,) * 9 + (count,)))
    tensors[name] = Tensor(dtype, () if count == 1 and rng.random() < 0.5 else shape, data)


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
    """A change of the tensors and one of the metadata."""
    metadata, tensors = opened(data)
    _edit(rng, metadata)
    change = rng.choice((_any_bits, _other_bytes, _inserted, _removed, _truncated))
    _in_one(change)(rng, tensors)
    return with_text(json.dumps(metadata), tensors)


HOSTILE: dict[str, Mutation] = {
    "metadata, sealed": _metadata,
    "metadata text, sealed": _metadata_text,
    "metadata bomb, sealed": _bomb,
    "metadata stream, sealed": _stream,
    "tensor bits, sealed": _tensors(_in_one(_any_bits)),
    "tensor bytes, sealed": _tensors(_in_one(_other_bytes)),
    "tensor longer, sealed": _tensors(_in_one(_inserted)),
    "tensor shorter, sealed": _tensors(_in_one(_removed)),
    "tensor cut, sealed": _tensors(_in_one(_truncated)),
    "tensor left out, sealed": _tensors(_left_out),
    "tensors swapped, sealed": _tensors(_swapped),
    "tensor renamed, sealed": _tensors(_renamed),
    "tensor reshaped, sealed": _tensors(_reshaped),
    "metadata and tensors, sealed": _both,
}
