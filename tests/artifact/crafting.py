"""A valid artifact taken apart, so that a test can break one rule and put it together again."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_compress.artifact import encode
from sim_compress.artifact.container import deflated, sealed
from sim_compress.artifact.encoder import laid_out
from sim_compress.certificate import certify
from sim_compress.model import ImplicitModel

PROVENANCE = {"teacher": {"sha256": "ab" * 32}, "sparsity": 0.6, "seed": 3, "engines": ["serial", None, True]}


def encoded(model: ImplicitModel) -> bytes:
    """The bytes of a model with the certificate it has."""
    return encode(model, certify(model), PROVENANCE)


def header_of(data: bytes) -> dict[str, Any]:
    """The safetensors header."""
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def with_header(header: str, body: bytes) -> bytes:
    """A safetensors file with this text as its header."""
    return len(header.encode()).to_bytes(8, "little") + header.encode() + body


CONSTANTS = ("maps.", "certificate.")


@dataclass
class Crafted:
    """Metadata and arrays of an artifact, open to change; the file they give has the right digest."""

    metadata: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: ImplicitModel) -> "Crafted":
        metadata, arrays = laid_out(model, certify(model), PROVENANCE)
        metadata.pop("constants", None)
        return cls(json.loads(json.dumps(metadata)), arrays)

    def bytes(self) -> bytes:
        """The constants begin where the rows end, unless the metadata says otherwise."""
        rows = sum(a.nbytes for name, a in self.arrays.items() if not name.startswith(CONSTANTS))
        found = any(name.startswith(CONSTANTS) for name in self.arrays)
        moved = {"constants": rows} if found else {}
        return with_text(json.dumps({**moved, **self.metadata}), *self.arrays.values())


def with_text(text: str, *arrays: np.ndarray) -> bytes:
    """A sealed file with this text as its metadata."""
    return sealed(deflated(text.encode()), b"".join(a.tobytes() for a in arrays))
