"""Tensor of bytes to one array of M; every field and number is checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.fields import Field
from sim_compress.artifact.floats import (
    FLOAT32,
    KINDS,
    CodedValues,
    FloatKind,
    Floats,
    rest_bits,
    values_from,
)
from sim_compress.artifact.limits import MAX_ELEMENTS
from sim_compress.artifact.matrix_encoder import Size
from sim_compress.artifact.packing import Bytes, Numbers, packed_size, unary_ones, unpack
from sim_compress.artifact.tensors import Tensors
from sim_compress.errors import ArtifactError

VALUE_FIELDS = ("values", "exponents")
SUPPORT_FIELDS = ("count", "rice")
MAX_RICE = 31


@dataclass(frozen=True)
class _Claims:
    """What the fields say of the bytes; `rice` is None where every one of the entries is stored."""

    entries: int
    count: int
    rice: int | None
    kind: FloatKind
    exponents: tuple[int, ...] | None


def decode_vector(tensors: Tensors, name: str, field: Field, count: int) -> Floats:
    """The (count,) float32 numbers of a bias; its field is the name of their format.

    Raises:
        ArtifactError: the field or the tensor breaks a rule.
    """
    kind = KINDS[field.choice(KINDS)]
    packed = tensors.take(name, ("U8",), (count * kind.bits // 8,))
    try:
        return values_from(CodedValues(kind, None, unpack(packed, count, kind.bits), np.zeros(0, np.int64)))
    except ArtifactError as error:
        raise ArtifactError(f"tensor {name}: {error}") from error


def decode_matrix(tensors: Tensors, name: str, field: Field, rows: int) -> tuple[sparse.csr_array, int]:
    """The canonical (rows, columns) float32 matrix, and its number of groups.

    Raises:
        ArtifactError: a field or the tensor breaks a rule.
    """
    entries = field.entries(("columns",), ("groups", *SUPPORT_FIELDS, *VALUE_FIELDS))
    columns = entries["columns"].integer(1, MAX_ELEMENTS)
    groups = entries["groups"].integer(1, rows) if "groups" in entries else 1
    if rows % groups or columns % groups:
        raise entries["groups"].wrong(f"a divisor of {rows} rows and {columns} columns")
    tensors.claim_rows(rows)
    size = Size(rows, columns, groups)
    positions, values = _stored(tensors, name, _claims(entries, size.entries))
    if positions is None:
        positions = np.flatnonzero(values)
        return _csr(values[positions], positions, size), groups
    if not values.all():
        raise ArtifactError(f"tensor {name}: expected nonzeros, found 0 at {int(np.argmin(values != 0))}")
    return _csr(values, positions, size), groups


def _claims(entries: Mapping[str, Field], total: int) -> _Claims:
    """The fields of an array of `total` entries."""
    kind = KINDS[entries["values"].choice(KINDS)] if "values" in entries else FLOAT32
    exponents = None
    if "exponents" in entries:
        # The last exponent is that of infinities.
        exponents = entries["exponents"].integers(0, (1 << kind.exponent) - 2)
        if len(set(exponents)) != len(exponents):
            raise entries["exponents"].wrong("different exponents")
    rice = None
    if "count" in entries:
        rice = entries["rice"].integer(0, MAX_RICE) if "rice" in entries else 0
    elif "rice" in entries:
        raise entries["rice"].wrong("a count beside it")
    count = entries["count"].integer(0, min(total, MAX_ELEMENTS)) if "count" in entries else total
    return _Claims(total, count, rice, kind, exponents)


def _stored(tensors: Tensors, name: str, claims: _Claims) -> tuple[Numbers | None, Floats]:
    """Positions of the nonzeros, increasing, None where every entry is stored; and values."""
    packed = tensors.take(name, ("U8",))
    try:
        return _unpacked(packed, claims)
    except ArtifactError as error:
        raise ArtifactError(f"tensor {name}: {error}") from error


def _unpacked(packed: Bytes, claims: _Claims) -> tuple[Numbers | None, Floats]:
    count, rice, apart = claims.count, claims.rice, claims.exponents is not None
    first = packed_size(count, rice or 0)
    second = first + packed_size(count, rest_bits(claims.kind, apart))
    # Before anything of the claimed count is made: with this, it is at most the tensor's bytes.
    if packed.ndim != 1 or len(packed) < second:
        raise ArtifactError(f"expected one axis of {second} bytes or more, found {list(packed.shape)}")
    ones = unary_ones(packed[second:], ((rice is not None) + apart) * count)
    values = _values(packed[first:second], ones, claims)
    if rice is None:
        return None, values
    return _positions(unpack(packed[:first], count, rice), ones[:count], rice, claims.entries), values


def _values(packed: Bytes, ones: Numbers, claims: _Claims) -> Floats:
    """Values from their rests and, where exponents stand apart, the last `count` unary numbers."""
    apart = claims.exponents is not None
    rests = unpack(packed, claims.count, rest_bits(claims.kind, apart))
    ranks = np.zeros(0, np.int64)
    if apart and claims.count:
        ranks = ones[-claims.count :].copy()
        ranks[1:] -= ones[-claims.count : -1] + 1
        ranks[0] -= ones[-claims.count - 1] + 1 if len(ones) > claims.count else 0
    return values_from(CodedValues(claims.kind, claims.exponents, rests, ranks))


def _positions(lows: NDArray[np.uint32], ones: Numbers, rice: int, entries: int) -> Numbers:
    """Places of the nonzeros among the entries, from the gaps `high << rice | low` before each."""
    positions = _summed(lows, ones, rice, entries) if rice and len(ones) else ones
    if len(positions) and positions[-1] >= entries:
        raise _beyond(entries)
    return positions


def _summed(lows: NDArray[np.uint32], ones: Numbers, rice: int, entries: int) -> Numbers:
    """Sums of the gaps, and of one for each nonzero before."""
    order = np.arange(len(ones))
    positions = ones - order
    # As a Python number, so that a claim too large for 64 bits does not wrap.
    if int(positions[-1]) << rice >= entries:
        raise _beyond(entries)
    positions <<= rice
    positions += order
    positions += np.cumsum(lows, dtype=np.int64)
    return positions


def _beyond(entries: int) -> ArtifactError:
    return ArtifactError(f"expected all nonzeros among {entries} entries, found one beyond them")


def _csr(values: Floats, positions: NDArray[Any], size: Size) -> sparse.csr_array:
    if len(values) > MAX_ELEMENTS:
        raise ArtifactError(f"expected at most {MAX_ELEMENTS} nonzeros, found {len(values)}")
    starts = np.arange(size.rows + 1, dtype=np.int64) * size.width
    indptr = np.searchsorted(positions, starts)
    indices = positions - np.repeat(starts[:-1] - size.first_columns(), np.diff(indptr))
    matrix = sparse.csr_array(
        (values, indices.astype(np.int32), indptr.astype(np.int32)), shape=(size.rows, size.columns)
    )
    matrix.has_canonical_format = True
    return matrix
