"""A program in the making: operations and the tables they point into."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.code.operations import FIELDS, Operation
from sim_compress.runtime.compiled.program.streams import DenseStream

# Gates of the directions of a recurrent layer, which take turns.
STREAMS = 8


@dataclass(frozen=True, eq=False)
class Tables:
    """What the interpreter reads beside the arena."""

    ops: NDArray[np.int64]
    integers: NDArray[np.int32]
    floats: NDArray[np.float32]
    masks: NDArray[np.int16]


class Constants:
    """Weights of a model, shared by its programs for all batch sizes."""

    def __init__(self) -> None:
        self._places: dict[Hashable, int] = {}
        self._streams: dict[Hashable, DenseStream] = {}
        self._new: list[NDArray[np.float32]] = []
        self._table = np.zeros(0, np.float32)
        self._size = 0

    def stream(self, key: Hashable, make: Callable[[], DenseStream]) -> DenseStream:
        """What `make` gives, or what it gave for the same key a few calls ago."""
        if key not in self._streams:
            self._streams[key] = make()
            if len(self._streams) > STREAMS:
                del self._streams[next(iter(self._streams))]
        return self._streams[key]

    def add(self, key: Hashable, values: NDArray[Any]) -> int:
        """Place of constants in the table; a key is added once."""
        if key not in self._places:
            self._places[key] = self._size
            self._new.append(values.astype(np.float32).ravel())
            self._size += values.size
        return self._places[key]

    def table(self) -> NDArray[np.float32]:
        """Everything added so far."""
        if self._new:
            self._table = np.concatenate([self._table, *self._new])
            self._new = []
        return self._table


class Assembly:
    """Collects operations; each `place` is an index into a table."""

    def __init__(self, constants: Constants) -> None:
        self.constants = constants
        self._ops: list[list[int]] = []
        self._integers: list[NDArray[np.int64]] = []
        self._masks: list[NDArray[np.int16]] = []
        self._sizes = {"integers": 0, "masks": 0}
        self._known: dict[Hashable, int] = {}

    @property
    def length(self) -> int:
        """Operations so far."""
        return len(self._ops)

    def add(self, operation: Operation) -> None:
        """Append an operation."""
        self._ops.append(operation.row())

    def integers(self, values: NDArray[Any], key: Hashable = None) -> int:
        """Place of a table of integers; with a key it is stored once."""
        return self._store("integers", self._integers, np.asarray(values).ravel(), key)

    def masks(self, lanes: NDArray[np.bool_], key: Hashable = None) -> int:
        """Place of one 16-bit mask per row of (vectors, lanes)."""
        bits = lanes @ (1 << np.arange(lanes.shape[1]))
        return self._store("masks", self._masks, bits.astype(np.uint16).view(np.int16), key)

    def _store(self, table: str, parts: list, values: NDArray, key: Hashable) -> int:
        if key is not None and (table, key) in self._known:
            return self._known[table, key]
        place = self._sizes[table]
        parts.append(values)
        self._sizes[table] += len(values)
        if key is not None:
            self._known[table, key] = place
        return place

    def tables(self) -> Tables:
        """The finished program."""
        return Tables(
            np.array(self._ops, np.int64).reshape(-1, FIELDS),
            np.concatenate([np.zeros(1, np.int64), *self._integers])[1:].astype(np.int32),
            self.constants.table(),
            np.concatenate([*self._masks, np.zeros(1, np.int16)]),
        )
