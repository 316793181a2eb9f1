"""A valid artifact taken apart, so that a test can break one rule and put it together again."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import deserialize
from safetensors.numpy import load, save

from sim_compress.artifact import encode
from sim_compress.artifact.container import digest
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


def sealed(tensors: dict[str, np.ndarray], version: object = 2) -> bytes:
    """A file of these tensors with the digest that they have."""
    views = [(name, v["dtype"], v["shape"], v["data"]) for name, v in deserialize(save(tensors))]
    return save(tensors, {"sim_compress": json.dumps({"sha256": digest(views), "version": version})})


@dataclass
class Crafted:
    """Metadata and tensors of an artifact, open to change; the file they give has the right digest."""

    metadata: dict[str, Any]
    tensors: dict[str, np.ndarray]

    @classmethod
    def of(cls, model: ImplicitModel) -> "Crafted":
        tensors = dict(load(encoded(model)))
        metadata = json.loads(zlib.decompress(tensors.pop("metadata").tobytes()))
        return cls(metadata, tensors)

    def bytes(self) -> bytes:
        return with_text(json.dumps(self.metadata), self.tensors)


def with_text(text: str, tensors: dict[str, np.ndarray]) -> bytes:
    """A sealed file with this text as its metadata."""
    return sealed({**tensors, "metadata": np.frombuffer(zlib.compress(text.encode()), np.uint8)})
