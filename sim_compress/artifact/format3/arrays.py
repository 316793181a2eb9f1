"""The arrays of a file of version 3: bytes one after the other, taken in the order of the metadata."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.artifact.coding.packing import Bytes
from sim_compress.artifact.fields import Field, shown
from sim_compress.artifact.format3.matrices import decode_matrix, decode_vector
from sim_compress.artifact.limits import MAX_ELEMENTS, MAX_RANK, refusing, sane
from sim_compress.artifact.store import Allowance, Floats, Source
from sim_compress.errors import ArtifactError
from sim_compress.model import ImplicitModel, Shape

CONSTANTS = {"float32": "<f4", "float64": "<f8"}


class Stretch:
    """Bytes that are taken from the front."""

    def __init__(self, what: str, stored: Bytes) -> None:
        self._what, self._stored, self._place = what, stored, 0

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

    def check_end(self) -> None:
        """ArtifactError where bytes are left that nothing refers to."""
        left = len(self._stored) - self._place
        if left:
            raise ArtifactError(
                f"expected the {self._what} to end with the last array, found {left} more bytes"
            )


class Arrays:
    """Both stretches of a file, the rows of M and the constants; a `Store`.

    Args:
        rows, constants: their bytes.
        size: bytes of the file.
        digest: that it has.
    """

    def __init__(self, rows: Bytes, constants: Bytes, size: int, digest: str) -> None:
        self.digest = digest
        self._rows, self._constants = Stretch("rows", rows), Stretch("constants", constants)
        self.allowance = Allowance(size)

    def source(self, field: Field, sources: dict[str, Source]) -> Source:
        return list(sources.values())[field.integer(0, len(sources) - 1)]

    def bias(self, name: str, field: Field, rows: int) -> Floats:
        return decode_vector(self._rows.take, name, field, rows)

    def matrix(self, name: str, field: Field, rows: int) -> tuple[sparse.csr_array, int]:
        self.allowance.rows(rows)
        return decode_matrix(self._rows.take, name, field, rows)

    def fixed_matrix(self, field: Field) -> sparse.csr_array:
        entries = field.entries(("rows", "weight"))
        rows = entries["rows"].integer(1, MAX_ELEMENTS)
        self.allowance.rows(rows)
        return decode_matrix(self._constants.take, field.place, entries["weight"], rows)[0]

    def table(self, field: Field) -> Floats:
        return self.constant(field)

    def constant(self, field: Field) -> Floats:
        if not isinstance(field.value, dict):
            raise field.wrong("a number, or a format and a shape")
        entries = field.entries(("format", "shape"))
        shape = entries["shape"].integers(1, MAX_ELEMENTS)
        if not 1 <= len(shape) <= MAX_RANK:
            raise entries["shape"].wrong(f"one axis or more, at most {MAX_RANK}")
        with refusing(entries["shape"].place):
            sane(shape)
        return self._numbers(field.place, entries["format"].choice(CONSTANTS), shape)

    def scalings(self, certificate: Field, model: ImplicitModel) -> list[Floats]:
        shapes = certificate.entries(("kind", "bound", "scalings"))["scalings"]
        items = [item.integers(1, MAX_ELEMENTS) for item in shapes.items()]
        if len(items) != len(model.blocks):
            raise shapes.wrong(f"{len(model.blocks)} shapes, one for every block")
        for shape in items:
            with refusing(shapes.place):
                sane(shape)
        return [self._numbers(f"certificate.{i}", "float64", shape) for i, shape in enumerate(items)]

    def check_end(self) -> None:
        self._rows.check_end()
        self._constants.check_end()

    def _numbers(self, name: str, kind: str, shape: Shape) -> NDArray[Any]:
        """The next constant, of a shape within the limits."""
        dtype = np.dtype(CONSTANTS[kind])
        stored = self._constants.take(name, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        # A copy, as the bytes begin anywhere.
        values = stored.view(dtype).reshape(shape).copy()
        if not np.isfinite(values).all():
            first = float(values[~np.isfinite(values)][0])
            raise ArtifactError(f"{name}: expected finite values, found {shown(first)}")
        return values
