"""Grams of every block: from baseline states in one pass, from regenerated states block by block."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from types import MappingProxyType

import numpy as np

from sim_compress.core import Gram
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine, ImplicitModel, StateBlock, every_use, replaced, with_rows_of
from sim_compress.model.maps import Array
from sim_compress.runtime import Stage, schedule
from sim_compress.states.batches import Values, batches, converted, in_order
from sim_compress.states.designs import empty_grams, feature_means, moments, nearest_targets
from sim_compress.states.store import Store
from sim_compress.states.teachers import Reading, Teacher, settle

Grams = tuple[Gram, ...]
Progress = Callable[[float], None]


def baseline_grams(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    progress: Progress,
    summed: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Grams]:
    """Grams with designs and targets from the teacher's own states (Algorithm 1 as printed).

    Args:
        teacher: the network.
        affines: block or output name -> the design its rows may use.
        inputs: input name -> (samples, ...).
        progress: called with the finished part in [0, 1].
        summed: name -> the one whose Grams its own are added to, for uses of the same rows.
    """
    total = {name: empty_grams(affine) for name, affine in affines.items() if name not in summed}
    parts = batches(teacher.model, inputs)

    def of_batch(number: int) -> dict[str, Grams]:
        values = converted(teacher.model, parts[number])
        reading = teacher.baseline(values)
        return _moments(affines, values | reading.states, reading.preactivations)

    for number, grams in enumerate(in_order(of_batch, len(parts))):
        for name, found in grams.items():
            merge(total[summed.get(name, name)], found)
        progress((number + 1) / len(parts))
    return total


def own_means(model: ImplicitModel, inputs: Mapping[str, Array]) -> dict[str, tuple[Matrix, ...]]:
    """Means of what a model's rows read in its own states.

    Returns:
        Block or output name -> (columns,) for each weighted term, over all uses of its rows.

    Raises:
        ConvergenceError: a sample did not reach its equilibrium.
    """
    parts, stages, samples = batches(model, inputs), schedule(model), len(next(iter(inputs.values())))

    def of_batch(number: int) -> dict[str, tuple[Matrix, ...]]:
        values = converted(model, parts[number])
        for stage in stages:
            values |= settle(stage, values)
        size = next(iter(values.values())).shape[-1] / samples
        found = {n: feature_means(a, values) for n, a in model.affines()}
        return {n: tuple(size * m for m in _mean_of_uses(model, n, found)) for n in found if model.owns(n)}

    total: dict[str, tuple[Matrix, ...]] = {}
    for found in in_order(of_batch, len(parts)):
        total = {n: tuple(map(np.add, total[n], own)) if n in total else own for n, own in found.items()}
    return total


def _mean_of_uses(
    model: ImplicitModel, owner: str, found: Mapping[str, tuple[Matrix, ...]]
) -> Iterator[Matrix]:
    """Means over the positions of all uses of some rows."""
    positions = {name: prod(affine.positions) for name, affine in model.affines()}
    uses = model.uses(owner)
    for own in zip(*(found[n] for n in uses), strict=True):
        yield np.average(own, axis=0, weights=[positions[n] for n in uses])


def _moments(
    affines: Mapping[str, Affine], values: Mapping[str, Array], targets: Mapping[str, Array]
) -> dict[str, Grams]:
    """Grams of one batch."""
    return {n: moments(a, values, targets[n]) if a.weighted else () for n, a in affines.items()}


def merge(total: Grams, grams: Grams) -> None:
    """Add other data points to the Grams of some rows."""
    for whole, part in zip(total, grams, strict=True):
        whole.merge(part)


@dataclass(frozen=True)
class Visit:
    """One block on its turn: its Grams on regenerated states, targets from the teacher.

    Uses of its rows that come later are in the Grams on the teacher's own states.

    Attributes:
        nearest: given fresh rows, the same Grams with every target moved to the nearest z that gives the
            teacher's state; None where only z does, where the states are the teacher's own, or where the
            rows have several uses.
    """

    name: str
    affine: Affine
    grams: Grams
    nearest: Callable[[Affine], Grams] | None = None


def regenerate(
    teacher: Teacher,
    inputs: Mapping[str, Array],
    compress: Callable[[Visit], Affine],
    store: Store,
    progress: Progress,
    names: Container[str] | None = None,
    behind: Mapping[str, Grams] = MappingProxyType({}),
    known: Mapping[str, Affine] = MappingProxyType({}),
) -> ImplicitModel:
    """Compress every block in order; each sees the states that the blocks before it really give.

    Blocks of a loop see each other's baseline states, and the states of their compressed equilibrium are
    what later blocks see.

    Args:
        teacher: the network.
        inputs: input name -> (samples, ...).
        compress: gives a block's new rows.
        store: holds the live cut, the teacher's states and the regenerated ones.
        progress: called with the finished part in [0, 1].
        names: the blocks and outputs that get new rows, and give them to those that share them; all if not
            given. The others keep theirs.
        behind: owner of rows that are shared -> Grams of their later uses on the teacher's own states.
        known: new rows of some of these blocks that are there already.

    Returns:
        The model made of the new rows.
    """
    model = teacher.model
    if names is None:
        names = {name for name, _ in model.affines() if model.owns(name)}
    names = {name for name, _ in model.affines() if name in names and name not in known}
    walk = _Walk(teacher, batches(model, inputs), store, behind)
    stages = schedule(model)
    total = len(stages) + len(model.outputs)
    rows = dict(known)
    for number, stage in enumerate(stages):
        rows |= {v.name: compress(v) for v in walk.visit({b.name: b.affine for b in stage.blocks}, names)}
        fresh = tuple(replace(b, affine=_fresh(model, rows, b)) for b in stage.blocks)
        walk.advance(replace(stage, blocks=fresh))
        progress((number + 1) / total)
    for number, output in enumerate(model.outputs):
        rows |= {v.name: compress(v) for v in walk.visit({output.name: output.affine}, names)}
        progress((len(stages) + number + 1) / total)
    return replaced(model, every_use(model, rows))


def _fresh(model: ImplicitModel, rows: Mapping[str, Affine], block: StateBlock) -> Affine:
    """The new rows of a block where it or the owner of its rows has them already, else its own."""
    owner = model.owners.get(block.name, block.name)
    if owner not in rows:
        return block.affine
    return rows[owner] if owner == block.name else with_rows_of(block.affine, rows[owner])


class _Walk:
    """The two live cuts, teacher's and regenerated, carried from stage to stage."""

    def __init__(
        self, teacher: Teacher, parts: list[Values], store: Store, behind: Mapping[str, Grams]
    ) -> None:
        self._teacher, self._behind = teacher, behind
        self._parts = parts
        self._store = store
        self._blocks = {b.name: b for b in teacher.model.blocks}

    def visit(self, affines: Mapping[str, Affine], names: Container[str]) -> list[Visit]:
        """Grams of the named blocks of one stage; the teacher's states of it are computed on the way."""
        outside = {t.source for a in affines.values() for t in a.terms} - set(affines)
        step = self._teacher.step(list(affines))
        designs = {name: affine for name, affine in affines.items() if name in names}
        total = {name: empty_grams(affine) for name, affine in designs.items()}

        def of_batch(number: int) -> tuple[dict[str, Grams], Values]:
            reading = step(self._values("teacher", outside, number))
            values = self._values("regenerated", outside, number) | reading.states
            return _moments(designs, values, reading.preactivations), reading.states

        for number, (grams, states) in enumerate(in_order(of_batch, len(self._parts))):
            for name, own in grams.items():
                merge(total[name], own)
            self._keep("teacher", number, states)
        for name in total.keys() & self._behind.keys():
            merge(total[name], self._behind[name])
        loop = any(t.source in affines for a in affines.values() for t in a.terms)
        return [
            Visit(
                name, affine, total[name], None if loop else self._nearest(name, total[name], outside, step)
            )
            for name, affine in designs.items()
        ]

    def _nearest(
        self, name: str, grams: Grams, outside: set[str], step: Callable[[Values], Reading]
    ) -> Callable[[Affine], Grams] | None:
        """`Visit.nearest` of a block outside loops: a loop would move its own design."""
        block = self._blocks.get(name)
        if block is None or block.phi.kind.nearest is None or name in self._behind:
            return None

        def nearest(rows: Affine) -> Grams:
            def targets(number: int) -> Grams:
                z = step(self._values("teacher", outside, number)).preactivations[name]
                return nearest_targets(block, rows, self._values("regenerated", outside, number), z)

            total = empty_grams(rows, design=False)
            for found in in_order(targets, len(self._parts)):
                merge(total, found)
            return tuple(replace(t, scatter=g.scatter) for t, g in zip(total, grams, strict=True))

        return nearest

    def advance(self, stage: Stage) -> None:
        """Keep the compressed blocks' states and forget what nothing reads any more."""
        inside = {b.name for b in stage.blocks}
        outside = {t.source for b in stage.blocks for t in b.affine.terms} - inside

        def states(number: int) -> Values:
            return settle(stage, self._values("regenerated", outside, number))

        for number, found in enumerate(in_order(states, len(self._parts))):
            self._keep("regenerated", number, found)
        self._store.drop(f"{owner} {name}" for owner in ("teacher", "regenerated") for name in stage.dead)

    def _keep(self, owner: str, number: int, states: Values) -> None:
        for name, state in states.items():
            self._store.put(f"{owner} {name}", number, state)

    def _values(self, owner: str, names: set[str], number: int) -> Values:
        inputs = converted(self._teacher.model, self._parts[number])
        return {
            n: inputs[n] if n in inputs else self._store.get(f"{owner} {n}", number) for n in sorted(names)
        }
