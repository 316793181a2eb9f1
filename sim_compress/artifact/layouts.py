"""One sparse matrix as tensors, in whichever of three layouts is the smallest.

dense   (rows, width) values
bitmap  one bit an entry, row-major, and the values of the set ones
packed  nonzeros a row, their columns in ceil(log2 width) bits each, and their values

The width is that of one group: row r holds only columns of group r // (rows / groups), counted from
the first of them.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.limits import MAX_ELEMENTS
from sim_compress.artifact.packing import bit_width, pack, packed_size, unpack, unpack_bits
from sim_compress.artifact.tensors import Tensors
from sim_compress.errors import ArtifactError, InputError

LAYOUTS = {"dense": {"dense"}, "bitmap": {"bitmap", "values"}, "packed": {"counts", "indices", "values"}}
SUFFIXES = ("dense", "bitmap", "counts", "indices", "values")
# Bytes a tensor's entry in the safetensors header typically takes.
HEADER_ENTRY = 72

Parts = dict[str, NDArray[Any]]


class Size(NamedTuple):
    """Rows, columns and groups of a matrix; groups divides both."""

    rows: int
    columns: int
    groups: int

    @property
    def width(self) -> int:
        """Columns a row may use."""
        return self.columns // self.groups

    def first_columns(self) -> NDArray[np.int64]:
        """The first column each row may use, shape (rows,)."""
        return np.arange(self.rows) // (self.rows // self.groups) * self.width


def encode_matrix(weight: sparse.csr_array, size: Size) -> Parts:
    """The tensors of a float32 matrix of the given size, by suffix.

    Raises:
        InputError: it is not float32, not a valid CSR, or has a nonzero outside its row's group.
    """
    canonical = _canonical(weight)
    counts = np.diff(canonical.indptr)
    rows = np.repeat(np.arange(size.rows), counts)
    local = canonical.indices - size.first_columns()[rows]
    if outside := sorted(set(rows[(local < 0) | (local >= size.width)].tolist())):
        raise InputError(
            f"row {outside[0]} of a matrix in {size.groups} groups has a nonzero outside its group"
        )
    layout = _smallest_layout(size, counts)
    if layout == "dense":
        dense = np.zeros((size.rows, size.width), "<f4")
        dense[rows, local] = canonical.data
        return {"dense": dense}
    values = canonical.data.astype("<f4")
    if layout == "bitmap":
        bits = np.zeros(size.rows * size.width, np.uint8)
        bits[rows * size.width + local] = 1
        return {"bitmap": np.packbits(bits, bitorder="little"), "values": values}
    return {
        "counts": counts.astype(_count_dtype(counts)),
        "indices": pack(local, bit_width(size.width)),
        "values": values,
    }


def _canonical(weight: sparse.csr_array) -> sparse.csr_array:
    """A copy with sorted columns, no duplicates and no stored zeros."""
    if weight.dtype != np.float32:
        raise InputError(f"expected float32 weights, found {weight.dtype}: cast them, then certify again")
    try:
        weight.check_format(full_check=True)
    except ValueError as error:
        raise InputError(f"expected a valid CSR matrix, found: {error}") from error
    copy = weight.copy()
    copy.sum_duplicates()
    copy.eliminate_zeros()
    return copy


def _count_dtype(counts: NDArray[np.integer]) -> np.dtype[Any]:
    """The smallest unsigned dtype that holds every count."""
    return np.min_scalar_type(int(counts.max(initial=0))).newbyteorder("<")


def _smallest_layout(size: Size, counts: NDArray[np.integer]) -> str:
    """The layout with the fewest bytes; the first of LAYOUTS among equals."""
    nnz, entries = int(counts.sum()), size.rows * size.width
    data = {
        "dense": 4 * entries,
        "bitmap": 4 * nnz + packed_size(entries, 1),
        "packed": 4 * nnz
        + packed_size(nnz, bit_width(size.width))
        + size.rows * _count_dtype(counts).itemsize,
    }
    return min(LAYOUTS, key=lambda layout: data[layout] + HEADER_ENTRY * len(LAYOUTS[layout]))


def decode_matrix(tensors: Tensors, name: str, size: Size) -> sparse.csr_array:
    """The canonical (rows, columns) float32 matrix behind the tensors `name`.*.

    Raises:
        ArtifactError: a tensor is missing, of the wrong length, or has an index or value out of bounds.
    """
    present = {suffix for suffix in SUFFIXES if f"{name}.{suffix}" in tensors}
    if present not in LAYOUTS.values():
        wanted = "; or ".join(", ".join(sorted(parts)) for parts in LAYOUTS.values())
        raise ArtifactError(
            f"tensors {name}.*: expected {wanted}; found {', '.join(sorted(present)) or 'none'}"
        )
    if "dense" in present:
        return _from_dense(tensors, name, size)
    counts, local = (_bitmap if "bitmap" in present else _packed)(tensors, name, size)
    values = tensors.take(f"{name}.values", ("F32",), (len(local),))
    if not values.all():
        raise ArtifactError(
            f"tensor {name}.values: expected nonzeros, found 0 at {int(np.argmin(values != 0))}"
        )
    return _csr(values, counts, local, size)


def _from_dense(tensors: Tensors, name: str, size: Size) -> sparse.csr_array:
    dense = tensors.take(f"{name}.dense", ("F32",), (size.rows, size.width))
    rows, local = np.nonzero(dense)
    return _csr(dense[rows, local], np.bincount(rows, minlength=size.rows), local, size)


def _bitmap(tensors: Tensors, name: str, size: Size) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nonzeros a row, and the column of each within its group."""
    entries = size.rows * size.width
    packed = tensors.take(f"{name}.bitmap", ("U8",), (packed_size(entries, 1),))
    try:
        bits = unpack_bits(packed, entries).reshape(size.rows, size.width)
    except ArtifactError as error:
        raise ArtifactError(f"tensor {name}.bitmap: {error}") from error
    return np.count_nonzero(bits, axis=1), np.flatnonzero(bits) % size.width


def _packed(tensors: Tensors, name: str, size: Size) -> tuple[NDArray[Any], NDArray[Any]]:
    """Nonzeros a row, and the column of each within its group."""
    counts = tensors.take(f"{name}.counts", ("U8", "U16", "U32"), (size.rows,)).astype(np.int64)
    if counts.max() > size.width:
        raise ArtifactError(f"tensor {name}.counts: expected at most {size.width}, found {counts.max()}")
    nnz, bits = int(counts.sum()), bit_width(size.width)
    packed = tensors.take(f"{name}.indices", ("U8",), (packed_size(nnz, bits),))
    try:
        local = unpack(packed, nnz, bits)
    except ArtifactError as error:
        raise ArtifactError(f"tensor {name}.indices: {error}") from error
    if nnz and local.max() >= size.width:
        raise ArtifactError(f"tensor {name}.indices: expected below {size.width}, found {local.max()}")
    rows = np.repeat(np.arange(size.rows), counts)
    unsorted = (np.diff(local) <= 0) & (np.diff(rows) == 0)
    if unsorted.any():
        row = rows[int(np.argmax(unsorted))]
        raise ArtifactError(f"tensor {name}.indices: expected increasing columns, found others in row {row}")
    return counts, local


def _csr(values: NDArray[Any], counts: NDArray[Any], local: NDArray[Any], size: Size) -> sparse.csr_array:
    if len(values) > MAX_ELEMENTS:
        raise ArtifactError(f"expected at most {MAX_ELEMENTS} nonzeros, found {len(values)}")
    indices = local + np.repeat(size.first_columns(), counts)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    matrix = sparse.csr_array(
        (values.astype(np.float32), indices.astype(np.int32), indptr.astype(np.int32)),
        shape=(size.rows, size.columns),
    )
    matrix.has_canonical_format = True
    return matrix
