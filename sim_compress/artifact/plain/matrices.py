"""The tied rows of a model as plain matrices and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.chains import narrowed
from sim_compress.artifact.decoder import Artifact
from sim_compress.artifact.encoder import described
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.store import Floats
from sim_compress.model import weight_shape


@dataclass(frozen=True)
class Plain:
    """A model as plain matrices.

    Attributes:
        metadata: what they are; names in it are those of matrices and arrays.
        matrices: by name.
        arrays: biases and constants by name.
    """

    metadata: Mapping[str, JSON]
    matrices: Mapping[str, sparse.csr_array]
    arrays: Mapping[str, Floats]


def tied(artifact: Artifact) -> Plain:
    """The rows of M as they are stored: `A.<block>.<term>` and so on, `bias.<block>` (docs/format.md)."""
    sink = PlainSink()
    metadata = described(artifact.model, artifact.certificate, artifact.provenance, sink)
    return Plain({"form": "tied", "artifact": artifact.digest, **metadata}, sink.matrices, sink.arrays)


@dataclass(frozen=True)
class PlainSink:
    """Matrices and arrays put aside as they are; a `Sink`."""

    matrices: dict[str, sparse.csr_array] = field(default_factory=dict)
    arrays: dict[str, Floats] = field(default_factory=dict)
    # Of an array, and the groups of its rows: the name under which it is put aside.
    _names: dict[tuple[int, int], str] = field(default_factory=dict)

    def bias(self, name: str, values: NDArray[np.float32]) -> JSON:
        if earlier := self._earlier(name, values):
            return earlier
        self.arrays[name] = values
        return True

    def matrix(self, name: str, weight: sparse.csr_array, groups: int) -> JSON:
        return self._earlier(name, weight, groups) or self._fields(name, weight, groups)

    def table(self, name: str, matrix: sparse.csr_array) -> JSON:
        earlier = self._earlier(name, matrix)
        return {"tensor": earlier} if earlier else self.fixed_matrix(name, matrix)

    def fixed_matrix(self, name: str, matrix: sparse.csr_array) -> JSON:
        return {"tensor": name, "weight": self._fields(name, matrix, 1)}

    def constant(self, name: str, values: Floats) -> JSON:
        if earlier := self._earlier(name, values):
            return earlier
        self.arrays[name] = narrowed(values)
        return name

    def scaling(self, name: str, values: Floats) -> None:
        self.arrays[name] = values

    def _fields(self, name: str, weight: sparse.csr_array, groups: int) -> dict[str, JSON]:
        self.matrices[name] = weight
        entry: dict[str, JSON] = {"shape": list(weight_shape(weight)), "nonzeros": int(weight.nnz)}
        return {**entry, "groups": groups} if groups > 1 else entry

    def _earlier(self, name: str, array: object, groups: int = 1) -> str | None:
        """The name under which an array is put aside already."""
        known = self._names.setdefault((id(array), groups), name)
        return None if known == name else known
