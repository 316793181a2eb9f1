"""An artifact taken apart, so that spoilt parts can be put together to a file with a right digest.

What is special to the version of the format is here and nowhere else in this folder.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from sim_compress.artifact import Artifact
from sim_compress.artifact.coding.deflate import deflated
from sim_compress.artifact.container import joined, sealed, taken_apart
from sim_compress.artifact.encoder import described
from sim_compress.artifact.layouts import Arrays
from sim_compress.artifact.spec import ITEM_BYTES, METADATA
from sim_compress.artifact.tensors import Tensor
from tools.fuzz import damage

Shape = tuple[int, ...]


@dataclass
class Parts:
    """The metadata as JSON values, the bytes of each tensor by its name, and dtypes and shapes of all."""

    metadata: dict[str, Any]
    arrays: dict[str, bytes]
    kinds: dict[str, tuple[str, Shape]]
    plain: bool

    @classmethod
    def of(cls, artifact: Artifact, shared: bool, plain: bool) -> "Parts":
        """Parts in a layout: those of a matrix in one tensor or apart, metadata in the head or deflated."""
        arrays = Arrays(shared, {})
        metadata = described(artifact.model, artifact.certificate, artifact.provenance, arrays)
        tensors = arrays.tensors()
        return cls(
            json.loads(json.dumps(metadata)),
            {name: t.data.tobytes() for name, t in tensors.items()},
            {name: (t.dtype, t.shape) for name, t in tensors.items()},
            plain,
        )

    def copy(self) -> "Parts":
        """Parts that can be changed without changing these."""
        return Parts(deepcopy(self.metadata), dict(self.arrays), dict(self.kinds), self.plain)

    def text(self) -> bytes:
        """The metadata."""
        return json.dumps(self.metadata).encode("utf-8", "surrogatepass")

    def file(self, text: bytes | None = None) -> bytes:
        """The file, with another text for its metadata if one is given."""
        tensors = {name: _tensor(stored, *self.kinds[name]) for name, stored in self.arrays.items()}
        if text is None and self.plain and isinstance(self.metadata, dict):
            return bytes(joined(sealed(json.dumps(self.metadata), tensors)))
        stream = _bytes(deflated(self.text() if text is None else text))
        return bytes(joined(sealed("{}", {METADATA: stream, **tensors})))


def _bytes(stored: bytes) -> Tensor:
    return Tensor("U8", (len(stored),), np.frombuffer(stored, np.uint8))


def _tensor(stored: bytes, dtype: str, shape: Shape) -> Tensor:
    """Bytes as a tensor of this dtype, of one axis where the shape is that of other bytes."""
    size = ITEM_BYTES[dtype]
    data = np.frombuffer(stored[: len(stored) // size * size], np.uint8)
    fits = data.nbytes == size * int(np.prod(shape))
    return Tensor(dtype, shape if fits else (data.nbytes // size,), data)


def spoilt_container(rng: Random, file: bytes) -> bytes:
    """Another stream of the metadata, or other names, dtypes or shapes of tensors, under a right digest."""
    tensors = dict(taken_apart(file).tensors)
    if METADATA in tensors and (len(tensors) == 1 or rng.random() < 0.3):
        change = rng.choice((damage.flipped, damage.removed, damage.truncated, damage.inserted))
        tensors[METADATA] = _bytes(change(rng, tensors[METADATA].data.tobytes()))
    elif tensors:
        name = rng.choice(list(tensors))
        rng.choice(CHANGES)(rng, tensors, name)
    head = taken_apart(file).head
    kept = {key: value for key, value in head.items() if key not in ("version", "digest")}
    return bytes(joined(sealed(json.dumps(kept), tensors)))


def _renamed(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    names = ("bias", "bias.0", METADATA, "A.0.0", f"{name}.values", name[:-1], "", "\x00")
    tensors[rng.choice(names)] = tensors.pop(name)


def _retyped(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    data = tensors[name].data
    dtype = rng.choice([d for d, size in ITEM_BYTES.items() if data.nbytes % size == 0])
    tensors[name] = Tensor(dtype, (data.nbytes // ITEM_BYTES[dtype],), data)


def _reshaped(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    old = tensors[name]
    count = old.data.nbytes // ITEM_BYTES[old.dtype]
    shapes = [(count, 1), (1, count), (1,) * 9 + (count,), (count, 2**31), (0, count)]
    fitting = [s for s in [*shapes, ()] if np.prod(s, dtype=object) == count]
    tensors[name] = Tensor(old.dtype, rng.choice(fitting), old.data)


def _repeated(rng: Random, tensors: dict[str, Tensor], name: str) -> None:
    tensors[rng.choice((f"{name}.values", f"{name}.support", f"{name}.exponents", "more"))] = tensors[name]


CHANGES: tuple[Callable[[Random, dict[str, Tensor], str], None], ...] = (
    _renamed,
    _retyped,
    _reshaped,
    _repeated,
)
