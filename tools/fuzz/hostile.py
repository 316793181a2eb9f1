"""Hostile artifacts: whatever they claim, their digest is right."""

import struct
from collections.abc import Callable
from random import Random

from tools.fuzz import damage, edits, numbers
from tools.fuzz.container import Parts, spoilt_container

Hostility = Callable[[Random, Parts], bytes]
# A few characters that unpack to far more than the file, or nest without end.
BOMBS = (b"[", b" ", b'{"a":', b"1", b'["')
BOMB_SIZES = (10**3, 10**4, 10**6, 3 * 10**7)


def _metadata(rng: Random, parts: Parts) -> bytes:
    for _ in range(rng.choice((1, 1, 2))):
        edits.edit(rng, parts.metadata)
    return parts.file()


def _numbers(rng: Random, parts: Parts) -> bytes:
    """Numbers of the model at a border, or exchanged: the values most likely to be taken."""
    model = {key: parts.metadata[key] for key in ("inputs", "blocks", "outputs", "certificate")}
    places = [(h, k) for h, k in edits.walk(model) if type(h[k]) in (int, float)]
    reals = [(h, k) for h, k in places if isinstance(h[k], float)]
    for _ in range(rng.choice((1, 1, 2))):
        edits.typed(rng, *rng.choice(reals if reals and rng.random() < 0.5 else places))
    return parts.file()


def _names(rng: Random, parts: Parts) -> bytes:
    """A phi, map or format replaced by another of the file."""
    words = [
        (h, k)
        for h, k in edits.walk(parts.metadata)
        if k in ("name", "map", "dtype", "values", "source", "factor")
    ]
    holder, key = rng.choice(words)
    others = [h[k] for h, k in words if k == key]
    phis = ("relu", "tanh", "exp", "log", "sqrt", "abs", "square", "reciprocal", "softsign", "floor", "erf")
    holder[key] = rng.choice((*others, *phis, "float16", "bfloat16", "float64", "int64"))
    return parts.file()


def _text(rng: Random, parts: Parts) -> bytes:
    return parts.file(damage.retyped(rng, parts.text()))


def _bomb(rng: Random, parts: Parts) -> bytes:
    return parts.file(rng.choice(BOMBS) * rng.choice(BOMB_SIZES))


def _container(rng: Random, parts: Parts) -> bytes:
    return spoilt_container(rng, parts.file())


def _array(*changes: damage.Damage) -> Hostility:
    """Changes of the bytes of one array."""

    def hostile(rng: Random, parts: Parts) -> bytes:
        names = [name for name, stored in parts.arrays.items() if stored]
        if names:
            name = rng.choice(names)
            parts.arrays[name] = rng.choice(changes)(rng, parts.arrays[name])
        return parts.file()

    return hostile


def _number(rng: Random, stored: bytes) -> bytes:
    """One number of an array, in one of the formats that it may have, at a border."""
    kind, size = rng.choice((("<f", 4), ("<d", 8), ("<e", 2), ("<i", 4)))
    if len(stored) < size:
        return stored
    try:
        value = rng.randint(-(2**31), 2**31 - 1) if kind == "<i" else numbers.real(rng)
        packed = struct.pack(kind, value)
    except OverflowError:
        packed = struct.pack(kind, float("inf"))
    place = rng.randrange(len(stored) // size) * size
    return stored[:place] + packed + stored[place + size :]


def _arranged(rng: Random, parts: Parts) -> bytes:
    """Arrays exchanged, repeated, left out or in another order."""
    names = list(parts.arrays)
    if len(names) > 1:
        one, other = rng.sample(names, 2)
        match rng.randrange(4):
            case 0:
                parts.arrays[one], parts.arrays[other] = parts.arrays[other], parts.arrays[one]
            case 1:
                parts.arrays[one] = parts.arrays[other]
            case 2:
                del parts.arrays[one]
            case _:
                rng.shuffle(names)
                parts.arrays = {name: parts.arrays[name] for name in names}
    return parts.file()


def _both(rng: Random, parts: Parts) -> bytes:
    edits.edit(rng, parts.metadata)
    change = rng.choice((damage.flipped, damage.overwritten, damage.inserted, damage.removed, _number))
    return _array(change)(rng, parts)


HOSTILE: dict[str, Hostility] = {
    "intact": lambda _, parts: parts.file(),
    "hostile: metadata": _metadata,
    "hostile: numbers of the metadata": _numbers,
    "hostile: names of the metadata": _names,
    "hostile: text of the metadata": _text,
    "hostile: bomb of metadata": _bomb,
    "hostile: container": _container,
    "hostile: bits of arrays": _array(damage.flipped),
    "hostile: numbers of arrays": _array(_number),
    "hostile: bytes of arrays": _array(damage.overwritten, damage.moved),
    "hostile: lengths of arrays": _array(damage.inserted, damage.removed, damage.truncated, damage.extended),
    "hostile: arrays exchanged": _arranged,
    "hostile: metadata and arrays": _both,
}
# Kinds whose files are often taken, and so say most.
OFTEN = {
    "hostile: numbers of the metadata": 4,
    "intact": 3,
    "hostile: metadata": 3,
    "hostile: numbers of arrays": 3,
}
