"""Where the values of a program lie in its arena, and which regions can be used again."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.lanes import Geometry

# Places to write, in floats for the first sample, and the row-major number of the element that goes to each.
Destinations = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Tiled:
    """A value of channels in vectors of lanes.

    Attributes:
        form: how its shape is channels and positions.
        base: first vector of the first channel.
    """

    form: Form
    geometry: Geometry
    base: int

    @property
    def step(self) -> int:
        """Floats from one sample to the next."""
        return self.geometry.lanes.parts

    @property
    def channels(self) -> NDArray[np.int64]:
        """First float of every channel."""
        return (self.base + np.arange(self.form.channels) * self.geometry.plane) * self.geometry.lanes.width

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Place of every element of the first sample, in floats, in the value's own shape."""
        return self.form.restored(self.channels[:, None, None] + self.geometry.elements)

    @cached_property
    def destinations(self) -> Destinations:
        """What to write, halo included, for this value to be whole."""
        places, rows, columns = self.geometry.filled()
        numbers = np.arange(self.elements.size).reshape(self.form.shape)
        element = self.form.canonical(numbers)[:, rows, columns]
        return (self.channels[:, None] + places).ravel(), element.ravel()


@dataclass(frozen=True)
class Flat:
    """A value without positions: the features of a sample side by side.

    Attributes:
        base: first float.
        step: floats from one sample to the next.
    """

    form: Form
    base: int
    step: int

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Place of every element of the first sample, in floats, in the value's own shape."""
        return self.base + np.arange(int(np.prod(self.form.shape))).reshape(self.form.shape)

    @property
    def destinations(self) -> Destinations:
        """What to write for this value to be whole."""
        return self.elements.ravel(), np.arange(self.elements.size)


@dataclass(frozen=True)
class Outside:
    """An input as the caller gives it: not in the arena.

    Attributes:
        float32: numbers of the arena; an input of another dtype could lose digits there.
    """

    name: str
    form: Form
    float32: bool

    @cached_property
    def elements(self) -> NDArray[np.int64]:
        """Number of every feature, in the input's own shape."""
        return np.arange(int(np.prod(self.form.shape))).reshape(self.form.shape)


Place = Tiled | Flat


@dataclass(frozen=True, eq=False)
class Load:
    """Features of an input that are copied into the arena before anything runs.

    Attributes:
        targets: where each goes for the first sample, in floats.
        sources: number of the feature.
        step: floats from one sample to the next.
    """

    name: str
    targets: NDArray[np.int32]
    sources: NDArray[np.int32]
    step: int


@dataclass(frozen=True, eq=False)
class Fixed:
    """Constants of a program that lie in its arena.

    Attributes:
        targets: where each goes, (constants, samples), in floats.
    """

    targets: NDArray[np.int64]
    values: NDArray[np.float32]


class Regions:
    """Gives out parts of an arena; a part is used again only for the same geometry.

    Borders of an image are zero from the start, and only values of the same geometry keep them so.
    """

    def __init__(self, lead: int) -> None:
        self.size = lead
        self._free: dict[object, list[int]] = {}
        self._taken: dict[int, object] = {}

    def take(self, kind: object, vectors: int) -> int:
        """First vector of a region."""
        free = self._free.get(kind)
        base = free.pop() if free else self.size
        if base == self.size:
            self.size += vectors
        self._taken[base] = kind
        return base

    def keep(self, vectors: int) -> int:
        """First vector of a region that is zero until it is loaded, and never used for anything else."""
        self.size += vectors
        return self.size - vectors

    def give_back(self, base: int) -> None:
        """End the life of a region."""
        self._free.setdefault(self._taken.pop(base), []).append(base)
