"""A valid artifact taken apart, so that a test can break one rule and put it together again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim_compress.artifact import JSON, container, encode
from sim_compress.artifact.coding.deflate import deflated
from sim_compress.artifact.encoder import described
from sim_compress.artifact.layouts import Arrays
from sim_compress.artifact.spec import METADATA, VERSION
from sim_compress.artifact.tensors import Tensor
from sim_compress.certificate import certify
from sim_compress.model import ImplicitModel

PROVENANCE = {"teacher": {"sha256": "ab" * 32}, "sparsity": 0.6, "seed": 3, "engines": ["serial", None, True]}
# dtypes of safetensors that numpy has a name for.
DTYPES = {"uint8": "U8", "int8": "I8", "float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64"}


def encoded(model: ImplicitModel) -> bytes:
    """The bytes of a model with the certificate it has."""
    return bytes(encode(model, certify(model), PROVENANCE))


def sealed(
    text: str, tensors: Mapping[str, Tensor], version: JSON = VERSION, needs: Sequence[str] = ()
) -> bytes:
    """A file of these tensors under the digest that it has."""
    return bytes(container.joined(container.sealed(text, tensors, version, needs)))


def header_of(data: bytes) -> dict[str, Any]:
    """The safetensors header."""
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def body_of(data: bytes) -> bytes:
    """What stands behind the header."""
    return data[8 + int.from_bytes(data[:8], "little") :]


def with_header(header: str, body: bytes) -> bytes:
    """A safetensors file with this text as its header."""
    return len(header.encode()).to_bytes(8, "little") + header.encode() + body


def tensor(values: np.ndarray) -> Tensor:
    """An array as a tensor of its own dtype and shape."""
    data = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return Tensor(DTYPES[values.dtype.name], values.shape, data)


@dataclass
class Crafted:
    """Metadata and tensors of an artifact, open to change; the file they give has the right digest."""

    metadata: dict[str, Any]
    tensors: dict[str, Tensor]
    needs: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: ImplicitModel, shared: bool = False) -> "Crafted":
        arrays = Arrays(shared, {})
        metadata = described(model, certify(model), PROVENANCE, arrays)
        return cls(json.loads(json.dumps(metadata)), arrays.tensors(), arrays.needs)

    def array(self, name: str) -> np.ndarray:
        """A tensor as an array of its dtype and shape."""
        found = self.tensors[name]
        dtype = next(numpy for numpy, dtype in DTYPES.items() if dtype == found.dtype)
        return found.data.view(dtype).reshape(found.shape)

    def bytes(self) -> bytes:
        return sealed(json.dumps(self.metadata), self.tensors, needs=self.needs)


def packed_text(text: bytes) -> bytes:
    """A sealed file whose tensor of metadata unpacks to this text."""
    return with_stream(deflated(text))


def with_stream(stream: bytes) -> bytes:
    """A sealed file with these bytes as its tensor of metadata."""
    return sealed("{}", {METADATA: tensor(np.frombuffer(stream, np.uint8))})
