"""The tensors of an open file: each is taken once, with its dtype, shape and values checked."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from sim_compress.artifact.fields import shown
from sim_compress.artifact.limits import MAX_ROWS
from sim_compress.artifact.spec import DTYPES
from sim_compress.errors import ArtifactError


class Tensors:
    """Tensors by name, taken once each.

    Raises:
        ArtifactError: the bytes are not a safetensors file.
    """

    def __init__(self, data: bytes) -> None:
        self._most_rows = self._rows_left = MAX_ROWS + len(data)
        try:
            self._views: dict[str, dict[str, Any]] = dict(deserialize(data))
        except SafetensorError as error:
            raise ArtifactError(f"expected a whole safetensors file, found: {error}") from error

    def contents(self) -> Iterator[tuple[str, str, list[int], bytes]]:
        """Name, dtype, shape and bytes of each tensor that is left."""
        for name, view in self._views.items():
            yield name, view["dtype"], view["shape"], view["data"]

    def claim_rows(self, rows: int) -> None:
        """Count the rows of one more matrix: they take memory, but no bytes in the file.

        Raises:
            ArtifactError: all matrices so far have more rows than a file of this size may have.
        """
        self._rows_left -= rows
        if self._rows_left < 0:
            raise ArtifactError(f"expected at most {self._most_rows} rows of matrices in all, found more")

    def take(
        self,
        name: str,
        dtypes: Collection[str],
        shape: tuple[int, ...] | None = None,
    ) -> NDArray[Any]:
        """A tensor as an array, no longer among those left.

        Raises:
            ArtifactError: it is missing, of another dtype or shape than asked for, or has a value
                that is not finite.
        """
        if name not in self._views:
            raise ArtifactError(f"tensor {shown(name)}: expected in the file, found none")
        view = self._views.pop(name)
        if view["dtype"] not in dtypes:
            raise ArtifactError(f"tensor {name}: expected {' or '.join(dtypes)}, found {view['dtype']}")
        found = tuple(view["shape"])
        if shape is not None and found != shape:
            raise ArtifactError(f"tensor {name}: expected shape {list(shape)}, found {list(found)}")
        values = np.frombuffer(view["data"], DTYPES[view["dtype"]]).reshape(found)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ArtifactError(f"tensor {name}: expected finite values, found {shown(_first_bad(values))}")
        return values

    def check_empty(self) -> None:
        """ArtifactError where a tensor is left that nothing refers to."""
        if self._views:
            raise ArtifactError(f"tensor {shown(min(self._views))}: nothing in the metadata refers to it")


def _first_bad(values: NDArray[Any]) -> float:
    return float(values[~np.isfinite(values)][0])
