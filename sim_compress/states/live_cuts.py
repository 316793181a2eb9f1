"""The two live cuts of a network, the teacher's states and the regenerated ones, and Grams made of them."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from sim_compress.core.engines import Arrays, Engine, Shared
from sim_compress.model import Affine, Input, StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime import Stage
from sim_compress.states.baseline import Grams, grams_of, merge
from sim_compress.states.batches import Values, converted, shared_batches, under_way
from sim_compress.states.designs import empty_grams, nearest_targets
from sim_compress.states.implicit_teacher import settle
from sim_compress.states.teachers import Step, Teacher

Work = TypeVar("Work")


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


class LiveCuts:
    """The two live cuts, teacher's and regenerated, carried from stage to stage."""

    def __init__(
        self, teacher: Teacher, inputs: Mapping[str, Array], engine: Engine, behind: Mapping[str, Grams]
    ) -> None:
        self._teacher, self._engine, self._behind = teacher, engine, behind
        self._blocks = {b.name: b for b in teacher.model.blocks}
        self._inputs = shared_batches(engine, teacher.model, inputs)
        self._step: Shared[Step] | None = None
        # Block -> its states on every batch.
        self._theirs: dict[str, list[Shared[Arrays]]] = {}
        self._ours: dict[str, list[Shared[Arrays]]] = {}

    def visit(self, affines: Mapping[str, Affine], names: Container[str]) -> list[Visit]:
        """Grams of the named blocks of one stage; the teacher's states of it are computed on the way."""
        outside = {t.source for a in affines.values() for t in a.terms} - set(affines)
        designs = {name: affine for name, affine in affines.items() if name in names}
        total = {name: empty_grams(affine) for name, affine in designs.items()}
        # That of the stage before is no longer read.
        self._drop_step()
        self._step = step = self._engine.share(self._teacher.step(list(affines)))
        work = self._engine.share(_Moments(step, designs))
        kept: list[Shared[Arrays]] = []
        for grams, states in self._engine.map_keeping(
            _moments, self._tasks(work, outside), under_way(self._engine)
        ):
            for name, own in grams.items():
                merge(total[name], own)
            kept.append(states)
        blocks = affines.keys() & self._blocks.keys()
        for name in blocks:
            self._theirs[name] = kept
        # Outputs are no states.
        for part in () if blocks else kept:
            part.drop()
        work.drop()
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
        self, name: str, grams: Grams, outside: set[str], step: Shared[Step]
    ) -> Callable[[Affine], Grams] | None:
        """`Visit.nearest` of a block outside loops: a loop would move its own design."""
        block = self._blocks.get(name)
        if block is None or block.phi.kind.nearest is None or name in self._behind:
            return None

        def nearest(rows: Affine) -> Grams:
            total = empty_grams(rows, design=False)
            work = self._engine.share(_Nearest(step, block, rows))
            for found in self._engine.map(_nearest, self._tasks(work, outside), under_way(self._engine)):
                merge(total, found)
            work.drop()
            return tuple(replace(t, scatter=g.scatter) for t, g in zip(total, grams, strict=True))

        return nearest

    def advance(self, stage: Stage) -> None:
        """Keep the compressed blocks' states and forget what nothing reads any more."""
        inside = {b.name for b in stage.blocks}
        outside = {t.source for b in stage.blocks for t in b.affine.terms} - inside
        work = self._engine.share(stage)
        found = [
            kept
            for _, kept in self._engine.map_keeping(
                _settled, self._tasks(work, outside), under_way(self._engine)
            )
        ]
        self._ours |= dict.fromkeys(inside, found)
        work.drop()
        for cut in (self._theirs, self._ours):
            for name in stage.dead:
                _drop(cut, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Forget everything."""
        for cut in (self._theirs, self._ours):
            for name in list(cut):
                _drop(cut, name)
        for part in self._inputs:
            part.drop()
        self._drop_step()

    def _drop_step(self) -> None:
        if self._step is not None:
            self._step.drop()
            self._step = None

    def _tasks(self, work: Shared[Work], names: set[str]) -> list["_Task[Work]"]:
        """The work with what it reads of each batch."""
        model = self._teacher.model
        read = {n for n in names if model.is_input(n)}
        blocks = sorted(names - read)
        return [
            _Task(
                work,
                part,
                tuple(i for i in model.inputs if i.name in read),
                tuple((name, self._theirs[name][number]) for name in blocks),
                tuple((name, self._ours[name][number]) for name in blocks),
            )
            for number, part in enumerate(self._inputs)
        ]


def _drop(cut: dict[str, list[Shared[Arrays]]], name: str) -> None:
    """Forget the states of a block, and their batches unless another block has its states there too."""
    gone = cut.pop(name, [])
    if not any(parts is gone for parts in cut.values()):
        for part in gone:
            part.drop()


@dataclass(frozen=True)
class _Moments:
    """Grams of some blocks with the teacher's targets."""

    step: Shared[Step]
    designs: Mapping[str, Affine]


@dataclass(frozen=True)
class _Nearest:
    """Grams of a block with its targets moved to the nearest that give the teacher's states."""

    step: Shared[Step]
    block: StateBlock
    rows: Affine


@dataclass(frozen=True)
class _Task(Generic[Work]):
    """Work on one batch, and what it reads.

    Attributes:
        work: the same for all batches.
        batch: the inputs.
        inputs: those that are read.
        theirs, ours: block name -> a batch of the teacher's states, and of the regenerated ones.
    """

    work: Shared[Work]
    batch: Shared[Values]
    inputs: tuple[Input, ...]
    theirs: tuple[tuple[str, Shared[Arrays]], ...]
    ours: tuple[tuple[str, Shared[Arrays]], ...]

    def values(self, states: tuple[tuple[str, Shared[Arrays]], ...]) -> Values:
        """Inputs and states that are read."""
        return converted(self.inputs, self.batch.value) | {name: kept.value[name] for name, kept in states}


def _moments(task: _Task[_Moments]) -> tuple[dict[str, Grams], Values]:
    work = task.work.value
    reading = work.step.value(task.values(task.theirs))
    values = task.values(task.ours) | reading.states
    return grams_of(work.designs, values, reading.preactivations), reading.states


def _nearest(task: _Task[_Nearest]) -> Grams:
    work = task.work.value
    z = work.step.value(task.values(task.theirs)).preactivations[work.block.name]
    return nearest_targets(work.block, work.rows, task.values(task.ours), z)


def _settled(task: _Task[Stage]) -> tuple[None, Values]:
    return None, settle(task.work.value, task.values(task.ours))
