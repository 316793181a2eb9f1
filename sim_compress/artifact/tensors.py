"""The tensors of an open file by name: each is taken once, checked and decoded."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.coding import (
    KINDS,
    MatrixClaims,
    Stored,
    decode_matrix,
    from_bytes,
    matrix_claims,
)
from sim_compress.artifact.coding.deflate import inflated, inflated_front
from sim_compress.artifact.fields import Field, shown
from sim_compress.artifact.limits import refusing, sane
from sim_compress.artifact.spec import BIAS, BYTES, CONSTANTS, SHARED, TABLES, scaling_name
from sim_compress.artifact.store import Allowance, Floats, Source
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel, Shape, weight_shape
from sim_compress.storage import is_mapped, pieces

BY_DTYPE = {kind.dtype: kind for kind in KINDS.values()}
Known = TypeVar("Known")
NOTHING = np.zeros(0, np.uint8)


class Tensor(NamedTuple):
    """One tensor of the file: safetensors' dtype and shape, and its bytes."""

    dtype: str
    shape: Shape
    data: NDArray[np.uint8]


def tensor_of(values: NDArray[Any]) -> Tensor:
    """An array of floats or signed integers as a tensor of its own dtype and shape."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    kind = {"f": "F", "i": "I"}[little.dtype.kind]
    return Tensor(f"{kind}{8 * little.itemsize}", values.shape, little.reshape(-1).view(np.uint8))


class Tensors:
    """All tensors of a file; a `Store`.

    Args:
        tensors: by name.
        size: bytes of the file.
        digest: that it has.
        needs: words for what the file uses of this format.
    """

    def __init__(
        self, tensors: Mapping[str, Tensor], size: int, digest: str, needs: Collection[str] = ()
    ) -> None:
        self.digest, self._needs = digest, needs
        self._matrices: dict[str, tuple[sparse.csr_array, int]] = {}
        self._biases_of: dict[str, Floats] = {}
        self._left = dict(tensors)
        self.allowance = Allowance(size)
        self._constants: dict[str, Floats] = {}
        self._biases: Floats | None = None
        self._place = 0

    def source(self, field: Field, sources: dict[str, Source]) -> Source:
        name = field.text()
        if name not in sources:
            raise field.wrong("the name of an input or a block")
        return sources[name]

    def bias(self, name: str, field: Field, rows: int) -> Floats:
        """An earlier one, its own tensor, or the next numbers of the shared one."""
        if self._names_earlier(field):
            found = self._earlier(field, self._biases_of)
            if len(found) != rows:
                raise field.wrong(f"the bias of {rows} rows")
            return found
        if field.boolean() is not True:
            raise field.wrong("true, or no key")
        self._biases_of[name] = found = self._own_bias(name, rows)
        return found

    def _own_bias(self, name: str, rows: int) -> Floats:
        if name in self._left:
            return self._vector(name, self._shaped(name, BY_DTYPE, (rows,)))
        if self._biases is None:
            self._biases = self._vector(BIAS, self._take(BIAS, BY_DTYPE))
        found = self._biases[self._place : self._place + rows]
        if len(found) < rows:
            raise ArtifactError(f"{name}: expected {rows} more numbers in {BIAS}, found {len(found)}")
        self._place += rows
        return found.copy()

    def matrix(self, name: str, field: Field, rows: int) -> tuple[sparse.csr_array, int]:
        self.allowance.rows(rows)
        if self._names_earlier(field):
            found = self._earlier(field, self._matrices)
            if weight_shape(found[0])[0] != rows:
                raise field.wrong(f"the name of a matrix of {rows} rows")
            self.allowance.again(found[0].nnz)
            return found
        claims = matrix_claims(field, rows)
        self._matrices[name] = found = self._matrix(name, claims), claims.size.groups
        return found

    def table(self, field: Field) -> sparse.csr_array:
        if TABLES not in self._needs:
            raise field.wrong("the name of a tensor")
        entries = field.entries(("tensor",), ("weight",))
        if "weight" not in entries:
            found, groups = self._earlier(entries["tensor"], self._matrices)
            self.allowance.again(found.nnz)
        else:
            name, claims = entries["tensor"].text(), matrix_claims(entries["weight"])
            if name in self._matrices:
                raise entries["tensor"].wrong("a name that no matrix before it has")
            self.allowance.rows(claims.size.rows)
            found, groups = self._matrices[name] = self._matrix(name, claims), claims.size.groups
        if groups > 1:
            raise field.wrong("a matrix of one group")
        return found

    def _names_earlier(self, field: Field) -> bool:
        """Whether rows are those of an earlier name; a file that does not need the word has none such."""
        return SHARED in self._needs and isinstance(field.value, str)

    def _earlier(self, field: Field, known: Mapping[str, Known]) -> Known:
        """What stands in the file under a name, before this field."""
        name = field.text()
        if name not in known:
            raise field.wrong("the name of a matrix or bias before it")
        return known[name]

    def fixed_matrix(self, field: Field) -> sparse.csr_array:
        entries = field.entries(("tensor", "weight"))
        claims = matrix_claims(entries["weight"])
        self.allowance.rows(claims.size.rows)
        return self._matrix(entries["tensor"].text(), claims)

    def constant(self, field: Field) -> Floats:
        """The tensor of this name; the same array wherever it is named again."""
        if not isinstance(field.value, str):
            raise field.wrong("a number or the name of a tensor")
        name = field.text()
        if name not in self._constants:
            found = self._numbers(name, CONSTANTS)
            if not found.ndim:
                raise ArtifactError(f"{name}: expected one axis or more, found a scalar")
            self._constants[name] = found
        return self._constants[name]

    def scalings(self, certificate: Field, model: ImplicitModel) -> list[Floats]:
        certificate.entries(("kind", "bound"))
        return [self._numbers(scaling_name(i), ("F64",)) for i in range(len(model.blocks))]

    def check_end(self) -> None:
        if self._left:
            raise ArtifactError(
                f"expected tensors that the metadata refers to, found {shown(min(self._left))}"
            )
        if self._biases is not None and self._place < len(self._biases):
            raise ArtifactError(
                f"{BIAS}: expected {self._place} numbers, one for every row with a bias, "
                f"found {len(self._biases)}"
            )

    def _take(self, name: str, dtypes: Collection[str]) -> Tensor:
        """The tensor of this name, which leaves."""
        if name not in self._left:
            raise ArtifactError(f"expected a tensor {shown(name)}, found none of this name, or used before")
        tensor = self._left.pop(name)
        if tensor.dtype not in dtypes:
            raise ArtifactError(f"{name}: expected {' or '.join(sorted(dtypes))}, found {tensor.dtype}")
        return tensor

    def _shaped(self, name: str, dtypes: Collection[str], shape: Shape) -> Tensor:
        tensor = self._take(name, dtypes)
        if tensor.shape != shape:
            raise ArtifactError(f"{name}: expected shape {list(shape)}, found {list(tensor.shape)}")
        return tensor

    def _vector(self, name: str, tensor: Tensor) -> Floats:
        """The numbers of a tensor of one axis as float32."""
        if len(tensor.shape) != 1:
            raise ArtifactError(f"{name}: expected one axis, found shape {list(tensor.shape)}")
        try:
            return from_bytes(tensor.data, BY_DTYPE[tensor.dtype])
        except ArtifactError as error:
            raise ArtifactError(f"{name}: {error}") from error

    def _numbers(self, name: str, dtypes: Collection[str]) -> NDArray[Any]:
        """A constant in its own format."""
        tensor = self._take(name, dtypes)
        with refusing(name):
            sane(tensor.shape)
        values = tensor.data.view(CONSTANTS[tensor.dtype]).reshape(tensor.shape)
        # What lies in a file may stay there.
        values = values if is_mapped(values) else values.copy()
        for piece in pieces(values):
            if not np.isfinite(piece).all():
                first = float(piece[~np.isfinite(piece)][0])
                raise ArtifactError(f"{name}: expected finite values, found {first}")
        return values

    def _matrix(self, name: str, claims: MatrixClaims) -> sparse.csr_array:
        try:
            return decode_matrix(claims, self._parts(name, claims))
        except ArtifactError as error:
            raise ArtifactError(f"{name}: {error}") from error

    def _parts(self, name: str, claims: MatrixClaims) -> Stored:
        """The parts of a matrix; one without nonzeros has none."""
        if not claims.count:
            return Stored(NOTHING, None, NOTHING)
        return self._shared(name, claims) if name in self._left else self._apart(name, claims)

    def _shared(self, name: str, claims: MatrixClaims) -> Stored:
        """Parts that stand in one tensor, one after the other: exponents end where their stream ends."""
        data, size = self._bytes(name), claims.value_bytes
        if len(data) < size:
            raise ArtifactError(f"expected {size} bytes of values, found {len(data)}")
        values, rest, heads = data[:size], data[size:], None
        if claims.largest is not None:
            inside, used = inflated_front(rest.data, claims.count)
            heads, rest = _heads(inside, claims), rest[used:]
        if claims.full and len(rest):
            raise ArtifactError(f"expected no support, as no entry is 0, found {len(rest)} more bytes")
        return Stored(values, heads, rest)

    def _apart(self, name: str, claims: MatrixClaims) -> Stored:
        """Parts that have a tensor each."""
        whole = claims.largest is None
        dtype, shape = (claims.kind.dtype, claims.count) if whole else (BYTES, claims.value_bytes)
        values = self._shaped(f"{name}.values", (dtype,), (shape,)).data
        heads = None
        if not whole:
            heads = _heads(inflated(self._bytes(f"{name}.exponents").data, claims.count), claims)
        return Stored(values, heads, NOTHING if claims.full else self._bytes(f"{name}.support"))

    def _bytes(self, name: str) -> NDArray[np.uint8]:
        """A tensor of coded bytes."""
        tensor = self._take(name, (BYTES,))
        if len(tensor.shape) != 1:
            raise ArtifactError(f"{name}: expected one axis of bytes, found shape {list(tensor.shape)}")
        return tensor.data


def _heads(inside: bytes, claims: MatrixClaims) -> NDArray[np.uint8]:
    """One byte for every number."""
    if len(inside) != claims.count:
        raise ArtifactError(f"expected {claims.count} exponents, found {len(inside)}")
    return np.frombuffer(inside, np.uint8)
