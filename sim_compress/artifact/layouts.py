"""Model to bytes, in the most readable layout that costs at most a percent.

An entry of the header takes about 75 bytes for every tensor. In the tightest layout the parts of a matrix
share one, all biases share one, and the metadata is deflated.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.chains import narrowed
from sim_compress.artifact.coding import Coded, Size, encode_matrix, narrowest, to_bytes
from sim_compress.artifact.container import Data, Parts, joined, packed, size_of
from sim_compress.artifact.encoder import described
from sim_compress.artifact.fields import JSON
from sim_compress.artifact.spec import BIAS, BYTES, SHARED, TABLES
from sim_compress.artifact.store import Floats
from sim_compress.artifact.tensors import Tensor, tensor_of
from sim_compress.certificate import Certificate, verify
from sim_compress.model import ImplicitModel, weight_shape


class Layout(NamedTuple):
    """Whether parts and biases share tensors, and whether the metadata is plain text in the header."""

    shared: bool
    plain: bool


# From the most readable to the tightest, and how much larger than that a file may be.
LAYOUTS = (Layout(False, True), Layout(False, False), Layout(True, False))
MOST = 1.01


def encode(model: ImplicitModel, certificate: Certificate, provenance: Mapping[str, JSON]) -> Data:
    """The bytes of an artifact; the same for the same model, certificate and provenance.

    Raises:
        CertificateError: the certificate does not hold for the model.
        InputError: a weight, map, certificate or provenance value has no place in the format.
    """
    verify(model, certificate)
    coded: dict[str, Coded] = {}
    *readable, tightest = LAYOUTS

    def file(layout: Layout) -> Parts:
        arrays = Arrays(layout.shared, coded)
        metadata = described(model, certificate, provenance, arrays)
        return packed(metadata, arrays.tensors(), layout.plain, arrays.needs)

    tight = file(tightest)
    for layout in readable:
        data = file(layout)
        if size_of(data) <= MOST * size_of(tight):
            return joined(data)
    return joined(tight)


class Arrays:
    """Arrays put aside for a file; a `Sink`.

    Args:
        shared: whether the parts of a matrix share a tensor, and all biases one.
        coded: matrices that are coded already, by name; those that are coded here join them.
    """

    def __init__(self, shared: bool, coded: dict[str, Coded]) -> None:
        self._shared, self._coded = shared, coded
        self._biases: dict[str, NDArray[np.float32]] = {}
        self._constants: dict[str, Floats] = {}
        # An array that several maps or blocks hold, as a tied table or weight, is stored once; with it stand
        # the groups of its rows.
        self._names: dict[tuple[int, int], str] = {}
        self._words: set[str] = set()

    @property
    def needs(self) -> tuple[str, ...]:
        """What a reader must know beyond the first page of this version, so far."""
        return tuple(sorted(self._words))

    def bias(self, name: str, values: NDArray[np.float32]) -> JSON:
        if earlier := self._earlier(name, values):
            return earlier
        narrowest(values)
        self._biases[name] = values
        return True

    def matrix(self, name: str, weight: sparse.csr_array, groups: int) -> JSON:
        return self._earlier(name, weight, groups) or self._fields(name, weight, groups)

    def table(self, name: str, matrix: sparse.csr_array) -> JSON:
        self._words.add(TABLES)
        earlier = self._earlier(name, matrix)
        return {"tensor": earlier} if earlier else self.fixed_matrix(name, matrix)

    def _earlier(self, name: str, array: object, groups: int = 1) -> str | None:
        """The name under which an array of M is stored already, in as many groups."""
        known = self._names.setdefault((id(array), groups), name)
        if known == name:
            return None
        self._words.add(SHARED)
        return known

    def _fields(self, name: str, weight: sparse.csr_array, groups: int) -> dict[str, JSON]:
        rows, columns = weight_shape(weight)
        if name not in self._coded:
            self._coded[name] = encode_matrix(weight, Size(rows, columns, groups))
        return self._coded[name].fields

    def fixed_matrix(self, name: str, matrix: sparse.csr_array) -> JSON:
        return {"tensor": name, "weight": self._fields(name, matrix, 1)}

    def constant(self, name: str, values: Floats) -> JSON:
        known = self._names.setdefault((id(values), 1), name)
        if known == name:
            self._constants[name] = np.ascontiguousarray(narrowed(values))
        return known

    def scaling(self, name: str, values: Floats) -> None:
        self._constants[name] = values

    def tensors(self) -> dict[str, Tensor]:
        """All of them as the tensors of a file."""
        found: dict[str, Tensor] = {}
        for name, coded in self._coded.items():
            if coded.count:
                found |= _joined(name, coded) if self._shared else _apart(name, coded)
        biases = self._biases
        if self._shared and biases:
            biases = {BIAS: np.concatenate(list(biases.values()))}
        for name, values in biases.items():
            kind = narrowest(values)
            found[name] = Tensor(kind.dtype, values.shape, to_bytes(values, kind))
        for name, values in self._constants.items():
            found[name] = tensor_of(values)
        return found


def _joined(name: str, coded: Coded) -> dict[str, Tensor]:
    """The parts of a matrix one after the other."""
    data = np.concatenate(list(coded.parts.values()))
    return {name: Tensor(BYTES, data.shape, data)}


def _apart(name: str, coded: Coded) -> dict[str, Tensor]:
    """A tensor for each part; values that are whole have their own dtype."""
    found = {f"{name}.{part}": Tensor(BYTES, data.shape, data) for part, data in coded.parts.items()}
    if coded.values.apart is None:
        whole = Tensor(coded.values.kind.dtype, (coded.count,), coded.values.data)
        found[f"{name}.values"] = whole
    return found
