"""A valid artifact taken apart, so that a test can break one rule and put it together again."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from sim_compress.artifact import encode
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


@dataclass
class Crafted:
    """Metadata and tensors of an artifact, open to change."""

    metadata: dict[str, Any]
    tensors: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: ImplicitModel) -> "Crafted":
        data = encoded(model)
        return cls(json.loads(header_of(data)["__metadata__"]["sim_compress"]), dict(load(data)))

    def bytes(self) -> bytes:
        return save(self.tensors, {"sim_compress": json.dumps(self.metadata)})
