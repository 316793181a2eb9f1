"""One array of M in a file of version 3: gaps in a Rice code, exponents in unary."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sim_compress.artifact.coding.decoder import csr
from sim_compress.artifact.coding.encoder import Size
from sim_compress.artifact.coding.floats import FLOAT32, KINDS, FloatKind, Floats, from_bits, from_bytes
from sim_compress.artifact.coding.packing import Bytes, Numbers, packed_size, unary_ones, unpack
from sim_compress.artifact.coding.supports import MAX_RICE, from_gaps
from sim_compress.artifact.fields import Field
from sim_compress.artifact.limits import MAX_ELEMENTS
from sim_compress.errors import ArtifactError

OPTIONS = ("groups", "count", "rice", "values", "exponents", "unary")
MAX_BYTES = 2**63 - 1
# The next bytes of the file, of the array that an error calls by this name.
Take = Callable[[str, int], Bytes]


@dataclass(frozen=True)
class _Claims:
    """What the fields say of the bytes; `rice` is None where every one of the entries is stored."""

    entries: int
    count: int
    rice: int | None
    kind: FloatKind
    exponents: tuple[int, ...] | None
    unary: int

    @property
    def rest_bits(self) -> int:
        """Bits of a value, but for its exponent where that stands apart."""
        return self.kind.bits - (0 if self.exponents is None else self.kind.exponent)


def decode_vector(take: Take, name: str, field: Field, count: int) -> Floats:
    """The (count,) float32 numbers of a bias; its field is the name of their format.

    Raises:
        ArtifactError: the field or the array breaks a rule.
    """
    kind = KINDS[field.choice(KINDS)]
    packed = take(name, count * kind.bits // 8)
    try:
        return from_bytes(packed, kind)
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error


def decode_matrix(take: Take, name: str, field: Field, rows: int) -> tuple[sparse.csr_array, int]:
    """The canonical (rows, columns) float32 matrix, and its number of groups.

    Raises:
        ArtifactError: a field or the array breaks a rule.
    """
    entries = field.entries(("columns",), OPTIONS)
    columns = entries["columns"].integer(1, MAX_ELEMENTS)
    groups = entries["groups"].integer(1, rows) if "groups" in entries else 1
    if rows % groups or columns % groups:
        raise entries["groups"].wrong(f"a divisor of {rows} rows and {columns} columns")
    size = Size(rows, columns, groups)
    positions, values = _stored(take, name, _claims(entries, size.entries))
    if positions is None:
        positions = np.flatnonzero(values)
        return csr(values[positions], positions, size), groups
    if not values.all():
        raise ArtifactError(f"{name}: expected nonzeros, found 0 at {int(np.argmin(values != 0))}")
    return csr(values, positions, size), groups


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


def _stored(take: Take, name: str, claims: _Claims) -> tuple[Numbers | None, Floats]:
    """Positions of the nonzeros, increasing, None where every entry is stored; and values."""
    # Before anything of the claimed count is made: with these, it is at most the bytes of the file.
    lows = take(name, packed_size(claims.count, claims.rice or 0))
    rests = take(name, packed_size(claims.count, claims.rest_bits))
    unary = take(name, claims.unary)
    kinds_of_numbers = (claims.rice is not None) + (claims.exponents is not None)
    try:
        ones = unary_ones(unary, kinds_of_numbers * claims.count)
        values = _values(rests, ones, claims)
        if claims.rice is None:
            return None, values
        return from_gaps(lows, ones[: claims.count], claims.rice, claims.entries), values
    except ArtifactError as error:
        raise ArtifactError(f"{name}: {error}") from error


def _values(packed: Bytes, ones: Numbers, claims: _Claims) -> Floats:
    """Values from their rests and, where exponents stand apart, the last `count` unary numbers."""
    if claims.exponents is None:
        return from_bytes(packed, claims.kind)
    rests, kind = unpack(packed, claims.count, claims.rest_bits), claims.kind
    before = len(ones) - claims.count
    ranks = np.diff(ones[before:], prepend=ones[before - 1] if before else -1) - 1
    most = int(ranks.max(initial=0))
    if claims.count and most >= len(claims.exponents):
        raise ArtifactError(f"expected ranks below {len(claims.exponents)} exponents, found {most}")
    # No exponent in the list is that of an infinity.
    bits = (np.array([*claims.exponents, 0], np.uint32) << kind.mantissa)[ranks]
    bits |= rests & np.uint32((1 << kind.mantissa) - 1)
    bits |= rests >> kind.mantissa << (kind.bits - 1)
    return from_bits(bits, kind)
