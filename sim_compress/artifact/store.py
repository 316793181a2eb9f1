"""What decoders ask of an open file, whatever its version, and what encoders ask of a new one."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.fields import JSON, Field
from sim_compress.artifact.limits import (
    ELEMENTS,
    ELEMENTS_PER_BYTE,
    MAX_ROWS,
    USED_AGAIN,
    USED_AGAIN_PER_BYTE,
)
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel, Shape

Floats = NDArray[Any]


@dataclass(frozen=True)
class Source:
    """What a term may read: an input or the state of a block."""

    name: str
    shape: Shape
    is_input: bool


class Store(Protocol):
    """The arrays of an open file; every method raises ArtifactError where the file breaks a rule."""

    @property
    def digest(self) -> str:
        """SHA-256 of the whole, 64 hexadecimal digits, as the file's own format takes it."""
        ...

    @property
    def allowance(self) -> "Allowance":
        """What a file of this size may have."""
        ...

    def source(self, field: Field, sources: dict[str, Source]) -> Source:
        """The source that a term's field refers to; inputs come first, then the blocks."""
        ...

    def bias(self, name: str, field: Field, rows: int) -> Floats:
        """A float32 bias (rows,)."""
        ...

    def matrix(self, name: str, field: Field, rows: int) -> tuple[sparse.csr_array, int]:
        """A canonical float32 matrix of M, and its number of groups; an earlier one where it is named."""
        ...

    def fixed_matrix(self, field: Field) -> sparse.csr_array:
        """The matrix of a fixed map."""
        ...

    def table(self, field: Field) -> Floats | sparse.csr_array:
        """A table of ids whose field is an object: a matrix of its own, or an earlier one that is named."""
        ...

    def constant(self, field: Field) -> Floats:
        """A constant array; its field is no number."""
        ...

    def scalings(self, certificate: Field, model: ImplicitModel) -> list[Floats]:
        """The arrays of a norm certificate, one for every block."""
        ...

    def check_end(self) -> None:
        """ArtifactError where something is left that nothing refers to."""
        ...


class Sink(Protocol):
    """Where an encoder puts arrays; every method gives what the metadata says of one.

    Methods raise InputError where an array has no place in the file.
    """

    def bias(self, name: str, values: NDArray[np.float32]) -> JSON:
        """A bias of M."""
        ...

    def matrix(self, name: str, weight: sparse.csr_array, groups: int) -> JSON:
        """A matrix of M."""
        ...

    def fixed_matrix(self, name: str, matrix: sparse.csr_array) -> JSON:
        """The matrix of a fixed map."""
        ...

    def table(self, name: str, matrix: sparse.csr_array) -> JSON:
        """A table of ids that is a matrix."""
        ...

    def constant(self, name: str, values: Floats) -> JSON:
        """An array of one axis or more."""
        ...

    def scaling(self, name: str, values: Floats) -> None:
        """An array of a norm certificate, float64."""
        ...


class Allowance:
    """What a file of so many bytes may have of things that take memory, but no bytes in the file.

    Args:
        size: bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self._rows = MAX_ROWS + size
        self._elements = ELEMENTS + ELEMENTS_PER_BYTE * size
        self._again = USED_AGAIN + USED_AGAIN_PER_BYTE * size
        self._rows_left, self._elements_left, self._again_left = self._rows, self._elements, self._again

    def rows(self, count: int) -> None:
        """Count the rows of one more matrix.

        Raises:
            ArtifactError: all matrices so far have more than they may have together.
        """
        self._rows_left -= count
        if self._rows_left < 0:
            raise ArtifactError(f"expected at most {self._rows} rows of matrices in all, found more")

    def again(self, nonzeros: int) -> None:
        """Count the nonzeros of a matrix that is used once more.

        Raises:
            ArtifactError: all further uses so far have more than they may have together.
        """
        self._again_left -= nonzeros
        if self._again_left < 0:
            raise ArtifactError(
                f"expected at most {self._again} nonzeros in all further uses of matrices, found more"
            )

    def arrays(self, place: str, shapes: Iterable[Shape]) -> None:
        """Count the elements of arrays that evaluating a sample makes.

        Raises:
            ArtifactError: all arrays so far have more than they may have together.
        """
        self._elements_left -= sum(map(math.prod, shapes))
        if self._elements_left < 0:
            raise ArtifactError(
                f"{place}: expected at most {self._elements} elements a sample in all for a file of this "
                "size, found more"
            )
