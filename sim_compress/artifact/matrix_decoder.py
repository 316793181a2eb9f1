"""Bytes to one array of M; every field and number is checked before it is used."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.arrays import Arrays
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
from sim_compress.errors import ArtifactError

OPTIONS = ("groups", "count", "rice", "values", "exponents", "unary")
MAX_RICE = 31
MAX_BYTES = 2**63 - 1


@dataclass(frozen=True)
class _Claims:
    """What the fields say of the bytes; `rice` is None where every one of the entries is stored."""

    entries: int
    count: int
    rice: int | None
    kind: FloatKind
    exponents: tuple[int, ...] | None
    unary: int


def decode_vector(arrays: Arrays, name: str, field: Field, count: int) -> Floats:
    """The (count,) float32 numbers of a bias; its field is the name of their format.

    Raises:
        ArtifactError: the field or the array breaks a rule.
    """
    kind = KINDS[field.choice(KINDS)]
    packed = arrays.take(name, count * kind.bits // 8)
    try:
        return values_from(CodedValues(kind, None, unpack(packed, count, kind.bits), np.zeros(0, np.int64)))
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error


def decode_matrix(arrays: Arrays, name: str, field: Field, rows: int) -> tuple[sparse.csr_array, int]:
    """The canonical (rows, columns) float32 matrix, and its number of groups.

    Raises:
        ArtifactError: a field or the array breaks a rule.
    """
    entries = field.entries(("columns",), OPTIONS)
    columns = entries["columns"].integer(1, MAX_ELEMENTS)
    groups = entries["groups"].integer(1, rows) if "groups" in entries else 1
    if rows % groups or columns % groups:
        raise entries["groups"].wrong(f"a divisor of {rows} rows and {columns} columns")
    arrays.allowance.rows(rows)
    size = Size(rows, columns, groups)
    positions, values = _stored(arrays, name, _claims(entries, size.entries))
    if positions is None:
        positions = np.flatnonzero(values)
        return _csr(values[positions], positions, size), groups
    if not values.all():
        raise ArtifactError(f"{name}: expected nonzeros, found 0 at {int(np.argmin(values != 0))}")
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
    unary = entries["unary"].integer(0, MAX_BYTES) if "unary" in entries else 0
    return _Claims(total, count, rice, kind, exponents, unary)


def _stored(arrays: Arrays, name: str, claims: _Claims) -> tuple[Numbers | None, Floats]:
    """Positions of the nonzeros, increasing, None where every entry is stored; and values."""
    apart = claims.exponents is not None
    # Before anything of the claimed count is made: with these, it is at most the bytes of the file.
    lows = arrays.take(name, packed_size(claims.count, claims.rice or 0))
    rests = arrays.take(name, packed_size(claims.count, rest_bits(claims.kind, apart)))
    unary = arrays.take(name, claims.unary)
    try:
        ones = unary_ones(unary, ((claims.rice is not None) + apart) * claims.count)
        values = _values(rests, ones, claims)
        if claims.rice is None:
            return None, values
        low = unpack(lows, claims.count, claims.rice) if claims.rice else None
        return _positions(low, ones[: claims.count], claims.rice, claims.entries), values
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error


def _values(packed: Bytes, ones: Numbers, claims: _Claims) -> Floats:
    """Values from their rests and, where exponents stand apart, the last `count` unary numbers."""
    apart = claims.exponents is not None
    rests = unpack(packed, claims.count, rest_bits(claims.kind, apart))
    ranks = np.zeros(0, np.int64)
    if apart and claims.count:
        before = len(ones) - claims.count
        ranks = np.empty(claims.count, np.int64)
        np.subtract(ones[before + 1 :], ones[before:-1], out=ranks[1:])
        ranks[0] = ones[before] - (ones[before - 1] if before else -1)
        ranks -= 1
    return values_from(CodedValues(claims.kind, claims.exponents, rests, ranks))


def _positions(lows: NDArray[np.uint32] | None, ones: Numbers, rice: int, entries: int) -> Numbers:
    """Places of the nonzeros among the entries, from the gaps `high << rice | low` before each."""
    positions = ones if lows is None or not len(ones) else _summed(lows, ones, rice, entries)
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
    indices = np.repeat(size.first_columns() - starts[:-1], indptr[1:] - indptr[:-1])
    indices += positions
    matrix = sparse.csr_array(
        (values, indices.astype(np.int32), indptr.astype(np.int32)), shape=(size.rows, size.columns)
    )
    matrix.has_canonical_format = True
    return matrix
