"""One matrix as the parts that are stored, and the fields that tell how."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.coding.floats import FLOAT32
from sim_compress.artifact.coding.packing import Bytes, Numbers
from sim_compress.artifact.coding.supports import Support, encode_support
from sim_compress.artifact.coding.values import LEAD, Values, encode_values
from sim_compress.artifact.fields import JSON
from sim_compress.errors import InputError


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
    """A matrix as it is stored; `support` is None where no entry is 0."""

    size: Size
    count: int
    values: Values
    support: Support | None

    @property
    def fields(self) -> dict[str, JSON]:
        """What the metadata says of it; fields that have their default are left out."""
        found: dict[str, JSON] = {"shape": [self.size.rows, self.size.columns]}
        if self.size.groups > 1:
            found["groups"] = self.size.groups
        if self.support is not None:
            found["nonzeros"] = self.count
            if self.support.rice is not None:
                found["rice"] = self.support.rice
        if self.values.kind is not FLOAT32:
            found["values"] = self.values.kind.name
        if self.values.apart is not None:
            found["exponent"] = self.values.apart.largest
            if self.values.apart.lead != LEAD:
                found["lead"] = self.values.apart.lead
        return found

    @property
    def parts(self) -> Mapping[str, Bytes]:
        """The bytes of its parts by name, in the order in which they share a tensor."""
        found = {"values": self.values.data}
        if self.values.apart is not None:
            found["exponents"] = self.values.apart.exponents
        if self.support is not None:
            found["support"] = self.support.data
        return found if self.count else {}


def encode_matrix(weight: sparse.csr_array, size: Size) -> Coded:
    """A float32 matrix of the given size.

    Raises:
        InputError: it is not float32, not a valid CSR, not finite, or has a nonzero outside its row's group.
    """
    canonical = _canonical(weight)
    positions = _positions(canonical, size)
    full = len(positions) == size.entries
    support = None if full else encode_support(positions, size.entries)
    return Coded(size, len(positions), encode_values(canonical.data), support)


def _positions(canonical: sparse.csr_array, size: Size) -> Numbers:
    """Row-major positions of the nonzeros among the entries, increasing."""
    rows = np.repeat(np.arange(size.rows), np.diff(canonical.indptr))
    local = canonical.indices - size.first_columns()[rows]
    if outside := sorted(set(rows[(local < 0) | (local >= size.width)].tolist())):
        raise InputError(
            f"row {outside[0]} of a matrix in {size.groups} groups has a nonzero outside its group"
        )
    return rows * size.width + local


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
