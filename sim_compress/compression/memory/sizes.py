"""Sizes of the blocks of a network, from which the memory of every part of a run follows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from sim_compress.compression.allocation.scope import parts
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.settings import Settings
from sim_compress.model import chain_shape, selects
from sim_compress.states import row_groups
from sim_compress.states.batches import batch_size
from sim_compress.states.designs import gram_bytes

# Alphas of a path down to half of the entries: 20 to 60 on the networks of models/ and on MiniLM.
STEPS = 40


@dataclass(frozen=True)
class BlockSizes:
    """One block or output that has rows.

    Attributes:
        name: its name.
        groups: rows and features of every row group.
        grams: bytes of its Grams, of rows with several uses also of those behind the first.
        features: entries of the design of one sample.
        z: entries of its pre-activation for one sample.
        nonzeros: of the network's rows.
        compressed: whether it gets new rows.
    """

    name: str
    groups: tuple[tuple[int, int], ...]
    grams: int
    features: int
    z: int
    nonzeros: int
    compressed: bool

    @property
    def squares(self) -> int:
        """Entries of the largest H."""
        return max((f * f for _, f in self.groups), default=0)

    @property
    def entries(self) -> int:
        """Entries of the rows of the largest group."""
        return max((r * f for r, f in self.groups), default=0)

    @property
    def all_entries(self) -> int:
        """Entries of all rows."""
        return sum(r * f for r, f in self.groups)

    @property
    def problems(self) -> int:
        """Bytes of the row problems: H; g, the network's rows and the weights of the ball."""
        return sum(8 * f * f + 24 * r * f for r, f in self.groups)

    @property
    def paths(self) -> int:
        """Bytes of the alpha paths: rows and supports."""
        return sum(8 * r * f + STEPS * r * f // 8 for r, f in self.groups)


@dataclass(frozen=True)
class Sizes:
    """A network and its calibration inputs.

    Attributes:
        blocks: those with rows.
        samples: of the designs.
        batch: samples of a batch.
        states: entries of all pre-activations and states for one sample.
        parameters: nonzeros of the network's rows.
        kept: nonzeros that stay.
        tables: entries that the maps of a reverse pass read, (features, positions) of all terms.
        computed: those of them that are computed and no mere choice of entries.
    """

    blocks: tuple[BlockSizes, ...]
    samples: int
    batch: int
    states: int
    parameters: int
    kept: int
    tables: int
    computed: int

    @cached_property
    def compressed(self) -> tuple[BlockSizes, ...]:
        """The blocks that get new rows."""
        return tuple(b for b in self.blocks if b.compressed)

    @property
    def batches(self) -> int:
        """Of the calibration inputs."""
        return -(-self.samples // self.batch)


def sizes_of(ready: Prepared, settings: Settings) -> Sizes:
    """Sizes of what was prepared.

    Raises:
        InputError: a pattern matches nothing.
    """
    model, own = ready.teacher.model, dict(ready.teacher.model.affines())
    scope = parts(model, ready.teacher.nodes, settings)
    names = {name for part in scope for name in part.names}
    blocks = [_block(ready, name, name in names) for name in own if own[name].weighted]
    inside = [sum(own[n].nnz for n in part.names) for part in scope]
    gone = sum(part.target * size for part, size in zip(scope, inside, strict=True))
    states = sum(prod(b.affine.shape) + prod(b.shape) for b in model.blocks)
    read = [(prod(shape), chosen) for name in own for shape, chosen in _read(ready, name)]
    return Sizes(
        tuple(blocks),
        len(next(iter(ready.designs.values()))),
        batch_size(model),
        states + sum(prod(o.shape) for o in model.outputs),
        model.nnz,
        round(model.nnz - gone),
        sum(size for size, _ in read),
        sum(size for size, chosen in read if not chosen),
    )


def _block(ready: Prepared, name: str, compressed: bool) -> BlockSizes:
    affine = ready.affines[name]
    groups = tuple((g.rows.stop - g.rows.start, g.width) for g in row_groups(affine))
    shapes = ready.teacher.model.shapes
    features = sum(prod(chain_shape(t.maps, shapes[t.source])) for t in affine.weighted)
    nonzeros = sum(w.nnz for w in affine.weights)
    uses = 2 if compressed and len(ready.teacher.model.uses(name)) > 1 else 1
    return BlockSizes(
        name, groups, uses * gram_bytes(affine), features, prod(affine.shape), nonzeros, compressed
    )


def _read(ready: Prepared, name: str) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Shapes of what the terms of a block read, and whether their maps choose entries alone."""
    shapes = ready.teacher.model.shapes
    for term in ready.affines[name].terms:
        yield chain_shape(term.maps, shapes[term.source]), all(map(selects, term.maps))
