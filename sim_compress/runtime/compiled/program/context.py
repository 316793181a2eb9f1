"""What the parts of the lowering share: the assembly, the arena and the values placed so far."""

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim_compress.errors import InputError
from sim_compress.runtime.compiled.code.rounds import ROWS
from sim_compress.runtime.compiled.layout.borders import Borders
from sim_compress.runtime.compiled.layout.forms import Form
from sim_compress.runtime.compiled.layout.lanes import Geometry, Lanes
from sim_compress.runtime.compiled.layout.neighbours import neighbours
from sim_compress.runtime.compiled.layout.places import Fixed, Flat, Load, Outside, Place, Regions, Tiled
from sim_compress.runtime.compiled.program.assembly import Assembly
from sim_compress.runtime.compiled.program.steps import Steps

# The tables hold places in the arena as 32-bit integers.
LARGEST_ARENA = 2**31 - 1


def rounded_up(number: int, multiple: int) -> int:
    """The next multiple."""
    return -(-number // multiple) * multiple


@dataclass
class Context:
    """One program being made.

    Attributes:
        lanes: how the samples of a batch lie in vectors.
        tile: vectors of a tile of TiedSum.
        threads: how many share the program.
        values: the place of every live input and state.
        loads: what is copied from the inputs.
        tables: arrays whose addresses are in the operations.
        fixed: what is written when an arena is made, and read by every call.
        steps: the program so far.
    """

    lanes: Lanes
    tile: int
    borders: Borders
    assembly: Assembly
    threads: int = 1
    regions: Regions = field(default_factory=lambda: Regions(lead=1))
    values: dict[str, Place | Outside] = field(default_factory=dict)
    loads: list[Load] = field(default_factory=list)
    fixed: list[Fixed] = field(default_factory=list)
    tables: list[NDArray[np.float32]] = field(default_factory=list)
    steps: Steps = field(init=False)
    _inside: dict[str, Flat] = field(default_factory=dict)
    _loaded: dict[Hashable, int] = field(default_factory=dict)
    _temporary: list[int] = field(default_factory=list)
    _posts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = Steps(self.assembly)

    def is_flat(self, form: Form) -> bool:
        """Whether rows go into lanes: no positions and few samples."""
        return form.size == (1, 1) and 2 * self.lanes.samples < self.lanes.width

    def place(self, form: Form) -> Place:
        """A new place for a state or output."""
        if self.is_flat(form):
            return self.flat(form, rounded_up(form.channels, self.lanes.width))
        geometry = self.borders.geometries[form.size]
        channels = rounded_up(form.channels, ROWS)
        return Tiled(form, geometry, self._take((geometry, channels), channels * geometry.plane))

    def flat(self, form: Form, step: int) -> Flat:
        """A new flat place with so many floats a sample."""
        vectors = self._vectors(step)
        return Flat(form, self._take(("flat", vectors), vectors) * self.lanes.width, step)

    def tiled_copy(self, source: Place | Outside, form: Form, geometry: Geometry) -> Tiled:
        """A place for a copy that the block at hand reads."""
        vectors = form.channels * geometry.plane
        return Tiled(form, geometry, self._copy(source, (geometry, form.channels), vectors))

    def flat_copy(self, source: Place | Outside, form: Form) -> Flat:
        """A place without positions for a copy that the block at hand reads."""
        step = int(np.prod(form.shape))
        vectors = self._vectors(step)
        return Flat(form, self._copy(source, ("flat", vectors), vectors) * self.lanes.width, step)

    def _copy(self, source: Place | Outside, kind: object, vectors: int) -> int:
        if isinstance(source, Outside):
            return self._checked(self.regions.keep(vectors))
        self._temporary.append(base := self._take(kind, vectors))
        return base

    def posts(self, geometry: Geometry, channels: int) -> int:
        """First vector of what other bands read of the block at hand."""
        vectors = -(-channels * neighbours(geometry).posts.plane // self.lanes.width)
        if not vectors:
            return 0
        self._posts.append(base := self._take(("posts", vectors), vectors))
        return base

    def load(self, name: str, targets: NDArray[np.int64], sources: NDArray[np.int64], step: int) -> None:
        """Copy features of an input before anything runs."""
        self.loads.append(Load(name, targets.astype(np.int32), sources.astype(np.int32), step))

    def loaded(self, name: str, numbers: NDArray[np.int64], geometry: Geometry) -> NDArray[np.int64]:
        """First floats of channels that are loaded from an input, once for all readers.

        Args:
            numbers: the entry of the input at each channel and position; -1 is zero.
        """
        key = name, geometry, numbers.shape, numbers.tobytes()
        if key not in self._loaded:
            base = self._checked(self.regions.keep(len(numbers) * geometry.plane))
            self._loaded[key] = base
            firsts = (base + np.arange(len(numbers)) * geometry.plane) * self.lanes.width
            places = firsts[:, None] + geometry.elements.reshape(1, -1)
            there = numbers >= 0
            self.load(name, places[there], numbers[there], geometry.lanes.parts)
        return (self._loaded[key] + np.arange(len(numbers)) * geometry.plane) * self.lanes.width

    def constants(self, values: NDArray[np.floating], geometry: Geometry) -> NDArray[np.int64]:
        """First floats of channels that are the same for all inputs, (channels, positions)."""
        base = self._checked(self.regions.keep(len(values) * geometry.plane))
        firsts = (base + np.arange(len(values)) * geometry.plane) * self.lanes.width
        places = firsts[:, None] + geometry.elements.reshape(1, -1)
        every = places.ravel()[:, None] + geometry.lanes.parts * np.arange(self.lanes.samples)
        self.fixed.append(Fixed(every, values.astype(np.float32).ravel()))
        return firsts

    def inside(self, name: str) -> Place:
        """A value in the arena; an input is loaded whole when it is first wanted."""
        place = self.values[name]
        if not isinstance(place, Outside):
            return place
        if name not in self._inside:
            flat = self._inside[name] = self.kept_flat(place.form)
            self.load(name, flat.elements.ravel(), place.elements.ravel(), flat.step)
        return self._inside[name]

    def ids(self, name: str) -> Flat:
        """The whole numbers of an input, loaded as float32; it holds those below 2^24."""
        place = self.values[name]
        if name not in self._inside:
            flat = self._inside[name] = self.kept_flat(place.form)
            self.load(name, flat.elements.ravel(), place.elements.ravel(), flat.step)
        return self._inside[name]

    def kept_flat(self, form: Form) -> Flat:
        """A flat place that nothing else will use."""
        step = int(np.prod(form.shape))
        base = self._checked(self.regions.keep(self._vectors(step)))
        return Flat(form, base * self.lanes.width, step)

    def _vectors(self, step: int) -> int:
        return max(1, -(-step * max(self.lanes.samples, 1) // self.lanes.width))

    def _take(self, kind: object, vectors: int) -> int:
        return self._checked(self.regions.take(kind, vectors))

    def _checked(self, base: int) -> int:
        before = (self.lanes.bands - 1) * self.lanes.distance
        if (before + self.regions.size) * self.lanes.width > LARGEST_ARENA:
            raise InputError(
                f"the states of {self.lanes.samples} samples need more than {LARGEST_ARENA} numbers: "
                "use kernel='scipy'"
            )
        return base

    def end_with_block(self, place: Place) -> None:
        """Mark a place as needed for the block at hand only."""
        self._temporary.append(self.first_vector(place))

    def first_vector(self, place: Place) -> int:
        """Where a place begins, as the regions count."""
        return place.base if isinstance(place, Tiled) else place.base // self.lanes.width

    def extents(self, place: Place) -> list[tuple[int, int]]:
        """First float and the end of a place in every band, with everything between its entries."""
        if not isinstance(place, Tiled):
            return [(place.base, place.base + place.step * self.lanes.samples)]
        vectors = rounded_up(place.form.channels, ROWS) * place.geometry.plane
        firsts = place.base + np.arange(self.lanes.bands) * self.lanes.distance
        return [(first * self.lanes.width, (first + vectors) * self.lanes.width) for first in firsts.tolist()]

    def end_block(self) -> None:
        """Give back what was temporary."""
        for base in self._temporary:
            self.regions.give_back(base)
        self._temporary.clear()
        # Bands fetch the last posts while others are at the next block.
        for base in self._posts[:-1]:
            self.regions.give_back(base)
        del self._posts[:-1]

    def end_value(self, name: str) -> None:
        """Give back a value that nothing reads any more."""
        place = self.values.pop(name)
        if not isinstance(place, Outside):
            self.regions.give_back(self.first_vector(place))
