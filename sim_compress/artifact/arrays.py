"""The arrays of an open file: bytes one after the other, taken in the order that the format says."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.artifact.fields import shown
from sim_compress.artifact.limits import ELEMENTS, ELEMENTS_PER_BYTE, MAX_ROWS
from sim_compress.artifact.packing import Bytes
from sim_compress.artifact.spec import CONSTANTS
from sim_compress.errors import ArtifactError
from sim_compress.model import Shape


class Allowance:
    """What a file of so many bytes may have of things that take memory, but no bytes in the file.

    Args:
        size: bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self._rows = MAX_ROWS + size
        self._elements = ELEMENTS + ELEMENTS_PER_BYTE * size
        self._rows_left, self._elements_left = self._rows, self._elements

    def rows(self, count: int) -> None:
        """Count the rows of one more matrix.

        Raises:
            ArtifactError: all matrices so far have more than they may have together.
        """
        self._rows_left -= count
        if self._rows_left < 0:
            raise ArtifactError(f"expected at most {self._rows} rows of matrices in all, found more")

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


class Arrays:
    """One stretch of the file: the rows of M, or the constants.

    Args:
        stored: its bytes, (bytes,).
        allowance: for the rows of its matrices.
    """

    def __init__(self, stored: Bytes, allowance: Allowance) -> None:
        self.allowance = allowance
        self._stored = stored
        self._place = 0

    def take(self, name: str, size: int) -> Bytes:
        """The next `size` bytes, of the array that an error calls by this name.

        Raises:
            ArtifactError: the stretch ends before.
        """
        end = self._place + size
        if end > len(self._stored):
            raise ArtifactError(f"{name}: expected {size} bytes, found {len(self._stored) - self._place}")
        taken = self._stored[self._place : end]
        self._place = end
        return taken

    def constant(self, name: str, kind: str, shape: Shape) -> NDArray[Any]:
        """The next array, of a format of `CONSTANTS` and a shape within the limits.

        Raises:
            ArtifactError: the stretch ends before, or a value is not finite.
        """
        dtype = np.dtype(CONSTANTS[kind])
        stored = self.take(name, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        # A copy, as the bytes begin anywhere.
        values = stored.view(dtype).reshape(shape).copy()
        if not np.isfinite(values).all():
            raise ArtifactError(f"{name}: expected finite values, found {shown(_first_bad(values))}")
        return values

    def check_end(self, name: str) -> None:
        """ArtifactError, with the name of the stretch, where bytes are left that nothing refers to."""
        left = len(self._stored) - self._place
        if left:
            raise ArtifactError(f"expected the {name} to end with the last array, found {left} more bytes")


def _first_bad(values: NDArray[Any]) -> float:
    return float(values[~np.isfinite(values)][0])
