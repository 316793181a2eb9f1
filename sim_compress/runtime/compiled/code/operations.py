"""The operations of a program: each is a row of numbers, in the order of its fields.

Unless it says otherwise a field is the place of something: `targets`, `sources` and other tables in
the integers, `weights`, `bias` and phi in the floats, masks in the masks, `target` in the arena, in floats.
`items` is the number of parts that may run on different threads, in any order.
"""

from dataclasses import astuple, dataclass, fields
from typing import ClassVar

# Numbers of a row: the code, then the fields.
FIELDS = 26
# Where the address of an operation's code is, for those that are compiled apart (`calls.py`).
ADDRESS = FIELDS - 1
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


@dataclass(frozen=True)
class PhasedSum(Operation):
    """Tied rows with phi whose columns come in phases: an item is a tile of vectors for some rows.

    Attributes:
        tiles: (first position, number of positions) of each tile; a position is a vector.
        parts: items of one tile, each with `share` of the rows.
        starts: number of the first nonzero, for each part and phase.
        counts: nonzeros, for each phase and row.
        offsets: places of the nonzeros' columns in the arena, less that of the position.
        segments: for each phase where the table of `reads` is that its columns are read by.
        reads, writes: for every position what is added to a place to read or write it.
        target: float of the first row.
        plane: floats from one row to the next.
        masks: lanes that are written, for every position; others become zero. -1 where all are.
        close: whether the vectors of a tile lie side by side, read and written; then few are summed in
            several chains, which depend on the size of a tile.
    """

    CODE = 7
    tiles: int
    parts: int
    rows: int
    share: int
    phases: int
    starts: int
    counts: int
    offsets: int
    values: int
    segments: int
    writes: int
    target: int
    plane: int
    masks: int
    close: int
    bias: int
    phi: int


@dataclass(frozen=True)
class MatrixProduct(Operation):
    """Products of states, C[r, lanes] = sum_k A[r, k] B[k, lanes]: an item is a tile of one group.

    Attributes:
        tiles: (first vector, number of vectors) of each tile of B and C.
        rows, inner: numbers of r and k.
        row_places, inner_places: two numbers of which the sum is the place of A[r, k], for each group.
        sources: places of B[k], for each group; of `targets` those of C[r].
        apart: whether lanes are samples, so that a lane of A meets its own lane of B.
        factor: in the floats, what every entry of C is multiplied with.
    """

    CODE = 8
    tiles: int
    tile_count: int
    rows: int
    inner: int
    row_places: int
    inner_places: int
    sources: int
    targets: int
    apart: int
    factor: int


@dataclass(frozen=True)
class LookedUp(Operation):
    """Rows of a table for ids: an item is some tokens of one sample.

    Attributes:
        table: address of the table, float32 in rows of `columns` numbers.
        size: rows of the table; ids below 0 count from its end.
        ids, targets: places of the ids and, for each, of the first column of its row.
        plane: floats from one column to the next.
        step, source_step: floats from one sample to the next.
    """

    CODE = 11
    table: int
    size: int
    columns: int
    ids: int
    targets: int
    count: int
    plane: int
    step: int
    source_step: int
    samples: int


@dataclass(frozen=True)
class Pooled(Operation):
    """Max pooling of vectors: an item is some channels.

    Attributes:
        channels: all of them.
        source, target: where the first channel begins.
        source_plane, plane: floats from one channel to the next.
        positions: vectors of a channel of the target.
        reads, writes: for each of them the floats from where a channel begins.
        window: vectors under a window; `windows` where each lies.
    """

    CODE = 12
    channels: int
    source: int
    source_plane: int
    target: int
    plane: int
    positions: int
    reads: int
    writes: int
    mask: int
    window: int
    windows: int


@dataclass(frozen=True)
class Gated(Operation):
    """Products of two values vector by vector: an item is some channels.

    Attributes:
        kind: what is multiplied with, as in `gating_code.py`.
        tiles: (first vector, number of vectors) of what lies side by side in a channel.
        values, factors, targets: places of the channels, less that of a position.
    """

    CODE = 13
    kind: int
    channels: int
    tiles: int
    tile_count: int
    values: int
    factors: int
    targets: int


@dataclass(frozen=True)
class Entrywise(Operation):
    """One function of the entries of two or three values; those with two read the second one twice.

    Attributes:
        kind: one of `entrywise_code.KINDS`.
        first, second, third: places of the entries of each part.
    """

    CODE = 14
    kind: int
    count: int
    samples: int
    targets: int
    step: int
    first: int
    first_step: int
    second: int
    second_step: int
    third: int
    third_step: int


@dataclass(frozen=True)
class Normalisation(Operation):
    """Softmax and norms of the channels of a group, lane by lane: an item is a tile of one group.

    Attributes:
        kind: one of `normalising_code.KINDS`.
        tiles: (first vector, number of vectors) of each tile.
        count: channels of a group.
        sources, targets: places of the channels, for each group.
        parameters: in the floats, what a channel is multiplied with first, and epsilon.
    """

    CODE = 9
    kind: int
    tiles: int
    tile_count: int
    count: int
    sources: int
    targets: int
    parameters: int


@dataclass(frozen=True)
class Elementwise(Operation):
    """One function of every entry of whole vectors, in place: an item is `share` vectors.

    Attributes:
        kind: one of `elementwise_code.KINDS`.
        first, count: first float and number of vectors.
    """

    CODE = 10
    kind: int
    first: int
    count: int
    share: int
    parameters: int
