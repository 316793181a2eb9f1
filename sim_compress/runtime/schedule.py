"""Which blocks to evaluate when: strongly connected components in topological order, and the live cut."""

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, ImplicitModel, StateBlock


@dataclass(frozen=True)
class Stage:
    """Blocks evaluated together.

    Attributes:
        blocks: one block, or all blocks of a loop.
        cyclic: the blocks form a loop and need a fixed-point iteration.
        dead: sources that no later stage and no output reads.
    """

    blocks: tuple[StateBlock, ...]
    cyclic: bool
    dead: tuple[str, ...]


def schedule(model: ImplicitModel) -> tuple[Stage, ...]:
    """Stages in order; every block reads its own stage or earlier ones."""
    components = _components(model)
    read_by = [{t.source for b in blocks for t in b.affine.terms} for blocks in components]
    kept = {t.source for o in model.outputs for t in o.affine.terms}
    stages: list[Stage] = []
    for position in reversed(range(len(components))):
        names = {b.name for b in components[position]}
        dead = (read_by[position] | names) - kept
        kept |= read_by[position]
        cyclic = bool(names & read_by[position])
        stages.append(Stage(components[position], cyclic, tuple(sorted(dead))))
    return tuple(reversed(stages))


def _components(model: ImplicitModel) -> list[tuple[StateBlock, ...]]:
    index = {b.name: i for i, b in enumerate(model.blocks)}
    edges = [(i, index[s]) for i, b in enumerate(model.blocks) for s in _sources(b.affine) if s in index]
    size = len(model.blocks)
    rows, columns = np.array(edges, int).reshape(-1, 2).T
    graph = sparse.csr_array((np.ones(len(edges)), (rows, columns)), shape=(size, size))
    count, labels = sparse.csgraph.connected_components(graph, connection="strong")
    members: list[list[StateBlock]] = [[] for _ in range(count)]
    for block, label in zip(model.blocks, labels.tolist(), strict=True):
        members[label].append(block)
    reads: dict[int, set[int]] = {component: set() for component in range(count)}
    for reader, source in zip(labels[rows].tolist(), labels[columns].tolist(), strict=True):
        if reader != source:
            reads[reader].add(source)
    return [tuple(members[c]) for c in TopologicalSorter(reads).static_order()]


def _sources(affine: Affine) -> Sequence[str]:
    return [t.source for t in affine.terms]
