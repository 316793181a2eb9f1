"""The operations of a program: each is a row of numbers, in the order of its fields.

Unless it says otherwise a field is the place of something: `targets`, `sources` and other tables in
the integers, `weights`, `bias` and phi in the floats, masks in the masks, `target` in the arena, in floats.
`items` is the number of parts that may run on different threads, in any order.
"""

from dataclasses import astuple, dataclass, fields
from typing import ClassVar

# Numbers of a row: the code, then the fields.
FIELDS = 26
# Elements of one item of the operations that go element by element.
CHUNK = 512


@dataclass(frozen=True)
class Operation:
    """Base of all operations."""

    CODE: ClassVar[int]
    items: int

    def row(self) -> list[int]:
        """The operation as numbers."""
        numbers = [self.CODE, *map(int, astuple(self))]
        return numbers + [0] * (FIELDS - len(numbers))

    @classmethod
    def place(cls, name: str) -> int:
        """Where a field is in the row."""
        return 1 + [f.name for f in fields(cls)].index(name)


@dataclass(frozen=True)
class TiedSum(Operation):
    """Tied rows with phi: an item is a tile of positions for some row blocks, tile after tile.

    Attributes:
        tiles: (first position, number of positions) of each tile.
        parts: items of one tile, each with item_blocks of the blocks.
        starts: (first offset, first value) of each block.
        counts: rounds of each loop, for each block and segment.
        segments: number of sources that are read at different positions.
        reads: for each segment the place of its table: vector to read at each position.
        target: vector of the first position of the first row.
        writes: table of the vector to write at each position.
        plane: vectors from one row to the next.
        edges: first entry of the halo of each tile; -1 without a halo.
        halo: (target, source, shift) of every entry: a vector from one float to another, by so many lanes.
        halo_target: vector where the first row's plane begins.
        post_edges, posts, post_masks: the same for copies that other bands read.
        post_target, post_plane: vector where those of the first row begin, floats from one row to the next.
        bands: how many bands have the same number of items each; 0 where they differ.
    """

    CODE = 0
    tiles: int
    parts: int
    blocks: int
    item_blocks: int
    starts: int
    counts: int
    segments: int
    reads: int
    target: int
    writes: int
    plane: int
    masks: int
    bias: int
    phi: int
    edges: int
    halo: int
    halo_masks: int
    halo_target: int
    post_edges: int
    posts: int
    post_masks: int
    post_target: int
    post_plane: int
    bands: int


@dataclass(frozen=True)
class DenseRows(Operation):
    """Rows without positions, few samples: an item is a vector of rows.

    Attributes:
        blocks: (first offset, first value, columns) of each vector of rows.
        step, source_step: floats from one sample to the next.
    """

    CODE = 1
    blocks: int
    target: int
    step: int
    source_step: int
    samples: int
    bias: int
    phi: int


@dataclass(frozen=True)
class Halo(Operation):
    """Borders of the patches of a value: an item is some channels of a band, band after band.

    Attributes:
        target, source: vectors where the first channels begin.
        plane, source_plane: floats from one channel to the next.
        share: channels of an item.
        parts: items of a band.
        edges: first entry of every band, and the end.
        halo: (target, source, shift) of every entry, as in TiedSum.
    """

    CODE = 2
    target: int
    plane: int
    source: int
    source_plane: int
    channels: int
    share: int
    parts: int
    edges: int
    halo: int
    halo_masks: int


@dataclass(frozen=True)
class Gather(Operation):
    """Copies of single elements."""

    CODE = 3
    targets: int
    sources: int
    count: int
    step: int
    source_step: int
    samples: int


@dataclass(frozen=True)
class Sums(Operation):
    """Elements that are weighted sums of others (from pointers[e] to pointers[e + 1]), plus a constant.

    Attributes:
        alike: whether an element has one weight for all, as a mean has; else every term has its own.
        share: elements of an item.
    """

    CODE = 4
    targets: int
    pointers: int
    sources: int
    weights: int
    alike: int
    constants: int
    count: int
    share: int
    step: int
    source_step: int
    samples: int


@dataclass(frozen=True)
class Maximum(Operation):
    """Elements that are the largest of `window` others; a source of -1 lies outside."""

    CODE = 5
    targets: int
    sources: int
    window: int
    count: int
    step: int
    source_step: int
    samples: int


@dataclass(frozen=True)
class Product(Operation):
    """Elements that are the product of two others."""

    CODE = 6
    targets: int
    left: int
    right: int
    count: int
    step: int
    left_step: int
    right_step: int
    samples: int
