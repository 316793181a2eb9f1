"""Damage to the bytes of any safetensors file, which its digest must find."""

import json
from collections.abc import Callable
from random import Random

from tools.fuzz import edits

Damage = Callable[[Random, bytes], bytes]
HEADER_BYTES = b'0123456789,:"[]{}-e.\\ufnt'


def flipped(rng: Random, data: bytes, low: int = 0) -> bytes:
    """Up to three bits turned, from a byte on."""
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        spoilt[rng.randrange(low, len(data))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def retyped(rng: Random, text: bytes) -> bytes:
    """Up to three characters of a JSON text replaced by others that JSON has."""
    spoilt = bytearray(text)
    for _ in range(rng.randint(1, 3)):
        spoilt[rng.randrange(len(spoilt))] = rng.choice(HEADER_BYTES)
    return bytes(spoilt)


def truncated(rng: Random, data: bytes) -> bytes:
    """Cut off."""
    return data[: rng.randrange(len(data))]


def extended(rng: Random, data: bytes) -> bytes:
    """With bytes behind the end."""
    return data + rng.randbytes(rng.randint(1, 100))


def moved(rng: Random, data: bytes) -> bytes:
    """A stretch of bytes written over another one."""
    size = rng.randint(1, max(1, min(4096, len(data) // 4)))
    source, target = rng.randrange(len(data) - size + 1), rng.randrange(len(data) - size + 1)
    return data[:target] + data[source : source + size] + data[target + size :]


def removed(rng: Random, data: bytes) -> bytes:
    """Without a stretch of bytes."""
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randint(1, 100) :]


def inserted(rng: Random, data: bytes) -> bytes:
    """With a stretch of bytes more."""
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.randint(1, 64)) + data[place:]


def overwritten(rng: Random, data: bytes) -> bytes:
    """A stretch of one and the same byte."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.randint(1, 64))
    return data[:start] + bytes([rng.choice((0, 255, rng.randrange(256)))]) * (end - start) + data[end:]


def _end(data: bytes) -> int:
    """Where the safetensors header ends."""
    return 8 + int.from_bytes(data[:8], "little")


def _header_bits(rng: Random, data: bytes) -> bytes:
    return flipped(rng, data[: _end(data)]) + data[_end(data) :]


def _header_text(rng: Random, data: bytes) -> bytes:
    return data[:8] + retyped(rng, data[8 : _end(data)]) + data[_end(data) :]


def _header_value(rng: Random, data: bytes) -> bytes:
    header = json.loads(data[8 : _end(data)])
    edits.edit(rng, header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[_end(data) :]


def _header_length(rng: Random, data: bytes) -> bytes:
    size = rng.choice((0, 1, 2**20, 2**32, 2**63, 2**64 - 1, _end(data) - 9, _end(data) - 7, len(data)))
    return size.to_bytes(8, "little") + data[8:]


DAMAGE: dict[str, Damage] = {
    "damage: bits": lambda rng, data: flipped(rng, data, _end(data) if _end(data) < len(data) else 0),
    "damage: header bits": _header_bits,
    "damage: header text": _header_text,
    "damage: header value": _header_value,
    "damage: header length": _header_length,
    "damage: truncated": truncated,
    "damage: extended": extended,
    "damage: bytes moved": moved,
    "damage: bytes removed": removed,
}
