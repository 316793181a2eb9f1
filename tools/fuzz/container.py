"""An artifact taken apart, so that spoilt parts can be put together to a file with a right digest.

What is special to the version of the format is here and nowhere else in this folder.
"""

import json
from copy import deepcopy
from dataclasses import dataclass
from hashlib import sha256
from random import Random
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from sim_compress.artifact import Artifact
from sim_compress.artifact.container import deflated, sealed
from sim_compress.artifact.encoder import laid_out
from sim_compress.artifact.spec import DIGEST_BYTES, KEY, SIZE_BYTES, TENSOR, VERSION
from tools.fuzz import damage

CONSTANTS = ("maps.", "certificate.")


@dataclass
class Parts:
    """The metadata as JSON values, and the bytes of each array by its name."""

    metadata: dict[str, Any]
    arrays: dict[str, bytes]

    @classmethod
    def of(cls, artifact: Artifact) -> "Parts":
        metadata, arrays = laid_out(artifact.model, artifact.certificate, artifact.provenance)
        metadata.pop("constants", None)
        return cls(json.loads(json.dumps(metadata)), {name: a.tobytes() for name, a in arrays.items()})

    def copy(self) -> "Parts":
        """Parts that can be changed without changing these."""
        return Parts(deepcopy(self.metadata), dict(self.arrays))

    def text(self) -> bytes:
        """The metadata; the constants begin where the rows end, unless it says otherwise."""
        rows = sum(len(a) for name, a in self.arrays.items() if not name.startswith(CONSTANTS))
        found = any(name.startswith(CONSTANTS) for name in self.arrays)
        begin = {"constants": rows} if found and isinstance(self.metadata, dict) else {}
        return json.dumps({**begin, **self.metadata}).encode("utf-8", "surrogatepass")

    def file(self, text: bytes | None = None) -> bytes:
        """The file, with another text for its metadata if one is given."""
        return sealed(deflated(self.text() if text is None else text), b"".join(self.arrays.values()))


def spoilt_container(rng: Random, file: bytes) -> bytes:
    """Another size of the metadata or another stream of them, under a right digest."""
    body = load(file)[TENSOR].tobytes()[DIGEST_BYTES:]
    size = int.from_bytes(body[:SIZE_BYTES], "little")
    if rng.random() < 0.5:
        claimed = rng.choice(
            (0, 1, 2**16, 2**31, 2**32 - 1, len(body) - 4, len(body) - 3, size - 1, size + 1)
        )
        body = (claimed % 2**32).to_bytes(SIZE_BYTES, "little") + body[SIZE_BYTES:]
    else:
        end = SIZE_BYTES + size
        body = body[:SIZE_BYTES] + damage.flipped(rng, body[SIZE_BYTES:end]) + body[end:]
    model = np.frombuffer(sha256(body).digest() + body, np.uint8)
    return save({TENSOR: model}, {KEY: json.dumps({"version": VERSION})})
