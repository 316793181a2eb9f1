"""Fields and parts to one matrix; every claim is checked before it is used."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sim_compress.artifact.coding.encoder import Size
from sim_compress.artifact.coding.floats import FLOAT32, KINDS, FloatKind, Floats, from_bytes
from sim_compress.artifact.coding.packing import Bytes, Numbers
from sim_compress.artifact.coding.supports import MAX_RICE, Support, decode_support
from sim_compress.artifact.coding.values import LEAD, decode_apart, value_bytes
from sim_compress.artifact.fields import Field
from sim_compress.artifact.limits import MAX_ELEMENTS
from sim_compress.errors import ArtifactError

OPTIONS = ("groups", "nonzeros", "rice", "values", "exponent", "lead")


@dataclass(frozen=True)
class MatrixClaims:
    """What the fields of a matrix say of its parts.

    Attributes:
        size: rows, columns and groups.
        count: numbers stored.
        full: whether every entry is stored, so that there is no support.
        rice: of a support in a Rice code; None for a bitmap.
        kind: format of the values.
        largest: the largest exponent; None where values are whole.
        lead: leading mantissa bits beside an exponent.
    """

    size: Size
    count: int
    full: bool
    rice: int | None
    kind: FloatKind
    largest: int | None
    lead: int

    @property
    def value_bytes(self) -> int:
        """Bytes of the values, or of what their exponents leave of them."""
        return value_bytes(self.kind, None if self.largest is None else self.lead, self.count)


class Stored(NamedTuple):
    """The parts of a matrix.

    Attributes:
        values: of the size that the claims say.
        heads: one byte a number, inflated; None where values are whole.
        support: as stored; empty where there is none.
    """

    values: Bytes
    heads: Bytes | None
    support: Bytes


def matrix_claims(field: Field, rows: int | None = None) -> MatrixClaims:
    """The checked fields of a matrix, of so many rows where they are known.

    Raises:
        ArtifactError: a field breaks a rule.
    """
    entries = field.entries(("shape",), OPTIONS)
    shape = entries["shape"].integers(1, MAX_ELEMENTS)
    if len(shape) != 2 or shape[0] != (rows or shape[0]):
        raise entries["shape"].wrong(f"{rows} rows, and columns" if rows else "rows and columns")
    rows, columns = shape
    groups = entries["groups"].integer(1, rows) if "groups" in entries else 1
    if rows % groups or columns % groups:
        raise entries["groups"].wrong(f"a divisor of {rows} rows and {columns} columns")
    size = Size(rows, columns, groups)
    full = "nonzeros" not in entries
    if full and "rice" in entries:
        raise entries["rice"].wrong("nonzeros beside it")
    if "lead" in entries and "exponent" not in entries:
        raise entries["lead"].wrong("an exponent beside it")
    kind = KINDS[entries["values"].choice(KINDS)] if "values" in entries else FLOAT32
    return MatrixClaims(
        size,
        # The matrix in memory has 32 bits to number its nonzeros.
        size.entries if full else entries["nonzeros"].integer(0, min(size.entries, MAX_ELEMENTS)),
        full,
        entries["rice"].integer(0, MAX_RICE) if "rice" in entries else None,
        kind,
        # The last exponent is that of infinities.
        entries["exponent"].integer(0, (1 << kind.exponent) - 2) if "exponent" in entries else None,
        entries["lead"].integer(0, LEAD) if "lead" in entries else LEAD,
    )


def decode_matrix(claims: MatrixClaims, stored: Stored) -> sparse.csr_array:
    """The canonical float32 matrix.

    Raises:
        ArtifactError: a part breaks a rule.
    """
    if claims.largest is None or stored.heads is None:
        values = from_bytes(stored.values, claims.kind)
    else:
        values = decode_apart(claims.kind, stored.values, stored.heads, claims.largest, claims.lead)
    if claims.full:
        positions = np.arange(claims.size.entries)
    else:
        positions = decode_support(Support(claims.rice, stored.support), claims.count, claims.size.entries)
    if not values.all():
        raise ArtifactError(f"expected nonzeros, found 0 at {int(np.argmin(values != 0))}")
    return csr(values, positions, claims.size)


def csr(values: Floats, positions: Numbers, size: Size) -> sparse.csr_array:
    """The matrix with these values at increasing positions among its entries."""
    if len(values) > MAX_ELEMENTS:
        raise ArtifactError(f"expected at most {MAX_ELEMENTS} nonzeros, found {len(values)}")
    starts = np.arange(size.rows + 1, dtype=np.int64) * size.width
    indptr = positions.searchsorted(starts)
    # Columns have 32 bits; what the differences have beyond them falls away on both sides alike.
    before = (starts[:-1] - size.first_columns() if size.groups > 1 else starts[:-1]).astype(np.int32)
    indices = positions.astype(np.int32)
    indices -= before.repeat(indptr[1:] - indptr[:-1])
    matrix = sparse.csr_array((values, indices, indptr.astype(np.int32)), shape=(size.rows, size.columns))
    matrix.has_canonical_format = True
    return matrix
