"""One array of M as bytes: where its nonzeros are, and what they are (docs/format.md).

The support of a matrix is the gaps between its nonzeros in row-major order, in a Rice code: a gap g as
`g >> rice` in unary and its `rice` low bits packed. With rice = 0 that is a bitmap. Indices packed in
b = ceil(log2 columns) bits with a count for every row (appendix B of the paper) never take less: rice = b - 1
stores the same b bits a nonzero and at most 2 zeros a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.fields import JSON
from sim_compress.artifact.floats import (
    FLOAT32,
    CodedValues,
    Floats,
    code_values,
    narrowest,
    rest_bits,
    whole_values,
)
from sim_compress.artifact.packing import Bytes, Numbers, pack, pack_unary
from sim_compress.errors import InputError

# Bits that the support's fields take in the metadata, about.
SUPPORT_ENTRY = 40


class Size(NamedTuple):
    """Rows, columns and groups of a matrix; groups divides both."""

    rows: int
    columns: int
    groups: int

    @property
    def width(self) -> int:
        """Columns a row may use."""
        return self.columns // self.groups

    @property
    def entries(self) -> int:
        """Entries that may be nonzero."""
        return self.rows * self.width

    def first_columns(self) -> NDArray[np.int64]:
        """The first column each row may use, shape (rows,)."""
        return np.arange(self.rows) // (self.rows // self.groups) * self.width


@dataclass(frozen=True)
class Coded:
    """A matrix as it is stored: its fields, its bytes, and how many bits of them tell the support."""

    fields: Mapping[str, JSON]
    data: Bytes
    support_bits: int


@dataclass(frozen=True)
class _Support:
    """Zeros before each nonzero since the one before it, and how many of their low bits stand apart."""

    rice: int
    gaps: Numbers

    @property
    def bits(self) -> int:
        return len(self.gaps) * (self.rice + 1) + int((self.gaps >> self.rice).sum())


def encode_vector(values: Floats) -> tuple[str, Bytes]:
    """A float32 bias: the name of the format that holds it, and its bytes.

    Raises:
        InputError: a value is not finite.
    """
    kind = narrowest(values)
    return kind.name, pack(whole_values(values, kind).rests, kind.bits)


def encode_matrix(weight: sparse.csr_array, size: Size) -> Coded:
    """A float32 matrix of the given size.

    Raises:
        InputError: it is not float32, not a valid CSR, not finite, or has a nonzero outside its row's group.
    """
    canonical = _canonical(weight)
    positions = _positions(canonical, size)
    fields: dict[str, JSON] = {"columns": size.columns}
    if size.groups > 1:
        fields["groups"] = size.groups
    choices: list[tuple[_Support | None, CodedValues]] = [(_support(positions), code_values(canonical.data))]
    # Storing zeros as values can only be shorter where they are few.
    if 2 * len(positions) >= size.entries:
        every = np.zeros(size.entries, np.float32)
        every[positions] = canonical.data
        choices.append((None, code_values(every)))
    support, coded = min(choices, key=lambda c: c[1].bits + (c[0].bits + SUPPORT_ENTRY if c[0] else 0))
    return _coded(fields, support, coded)


def _positions(canonical: sparse.csr_array, size: Size) -> Numbers:
    """Row-major positions of the nonzeros among the entries, increasing."""
    rows = np.repeat(np.arange(size.rows), np.diff(canonical.indptr))
    local = canonical.indices - size.first_columns()[rows]
    if outside := sorted(set(rows[(local < 0) | (local >= size.width)].tolist())):
        raise InputError(
            f"row {outside[0]} of a matrix in {size.groups} groups has a nonzero outside its group"
        )
    return rows * size.width + local


def _support(positions: Numbers) -> _Support:
    """The shortest Rice code of the gaps."""
    gaps = np.diff(positions, prepend=-1) - 1
    longest = int(gaps.max(initial=0)).bit_length()
    return min((_Support(rice, gaps) for rice in range(longest + 1)), key=lambda support: support.bits)


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


def _coded(fields: Mapping[str, JSON], support: _Support | None, values: CodedValues) -> Coded:
    """Fields that have their default are left out."""
    described = dict(fields)
    lows, highs = np.zeros(0, np.uint8), np.zeros(0, np.int64)
    if support is not None:
        described["count"] = len(support.gaps)
        if support.rice:
            described["rice"] = support.rice
        lows = pack(support.gaps, support.rice)
        highs = support.gaps >> support.rice
    if values.kind is not FLOAT32:
        described["values"] = values.kind.name
    if values.exponents is not None:
        described["exponents"] = list(values.exponents)
    rests = pack(values.rests, rest_bits(values.kind, values.exponents is not None))
    unary = pack_unary(np.concatenate([highs, values.ranks]))
    if len(unary):
        described["unary"] = len(unary)
    return Coded(described, np.concatenate([lows, rests, unary]), support.bits if support else 0)
