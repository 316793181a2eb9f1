"""Grams of every block: from baseline states in one pass, from regenerated states block by block."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from sim_compress.core import Gram
from sim_compress.frontend import Teacher
from sim_compress.model import Affine, ImplicitModel, Output, StateBlock
from sim_compress.model.maps import Array
from sim_compress.runtime import preactivation, schedule
from sim_compress.states.designs import accumulate, empty_grams
from sim_compress.states.read_out import Reader, with_outputs
from sim_compress.states.store import Store

# One batch's states of the whole network stay below this many bytes.
BATCH_BYTES = 256 * 2**20
LARGEST_BATCH = 64

Values = dict[str, Array]
Grams = tuple[Gram, ...]
Progress = Callable[[float], None]


def batches(model: ImplicitModel, inputs: Mapping[str, Array]) -> list[Values]:
    """Calibration inputs as views of (*shape, samples), small enough to hold all states of one batch."""
    states = sum(math.prod(b.affine.shape) + math.prod(b.shape) for b in model.blocks)
    size = int(np.clip(BATCH_BYTES // (4 * max(states, 1)), 1, LARGEST_BATCH))
    samples = len(next(iter(inputs.values())))
    return [
        {name: np.moveaxis(u[start : start + size], 0, -1) for name, u in inputs.items()}
        for start in range(0, samples, size)
    ]


def baseline_grams(teacher: Teacher, inputs: Mapping[str, Array], progress: Progress) -> dict[str, Grams]:
    """Grams of every block with designs and targets from the teacher's own states (Algorithm 1).

    Args:
        teacher: the network.
        inputs: input name -> (samples, ...).
        progress: called with the finished part in [0, 1].
    """
    targets = target_tensors(teacher)
    states = {name: tensors[1] for name, tensors in teacher.tensors.items()}
    wanted = [*dict.fromkeys([*targets.values(), *states.values()])]
    reader = Reader(with_outputs(teacher.graph, wanted), wanted)
    grams = {name: empty_grams(affine) for name, affine in teacher.model.affines()}
    parts = batches(teacher.model, inputs)
    for number, batch in enumerate(parts):
        read = reader(batch)
        values = batch | {name: read[tensor] for name, tensor in states.items()}
        for name, affine in teacher.model.affines():
            accumulate(grams[name], affine, values, read[targets[name]])
        progress((number + 1) / len(parts))
    return grams


def target_tensors(teacher: Teacher) -> dict[str, str]:
    """Block or output name -> the graph tensor that holds its pre-activation."""
    return {name: tensors[0] for name, tensors in teacher.tensors.items()} | dict(teacher.outputs)


@dataclass(frozen=True)
class Visit:
    """One block on its turn: its Grams on regenerated states, targets from the teacher."""

    name: str
    affine: Affine
    grams: Grams


def regenerate(
    teacher: Teacher,
    inputs: Mapping[str, Array],
    compress: Callable[[Visit], Affine],
    store: Store,
    progress: Progress,
) -> ImplicitModel:
    """Compress every block in order; each sees the states that the blocks before it really give.

    Args:
        teacher: the network; its graph must have no loop.
        inputs: input name -> (samples, ...).
        compress: gives a block's new rows.
        store: holds the live cut, the teacher's states and the regenerated ones.
        progress: called with the finished part in [0, 1].

    Returns:
        The model made of the new rows.
    """
    model = teacher.model
    walk = _Walk(teacher, batches(model, inputs), store)
    stages = schedule(model)
    total = len(stages) + len(model.outputs)
    blocks: dict[str, StateBlock] = {}
    for number, stage in enumerate(stages):
        (block,) = stage.blocks
        affine = compress(walk.visit(block.name, block.affine))
        blocks[block.name] = replace(block, affine=affine)
        walk.advance(blocks[block.name], stage.dead)
        progress((number + 1) / total)
    outputs: list[Output] = []
    for number, output in enumerate(model.outputs):
        outputs.append(replace(output, affine=compress(walk.visit(output.name, output.affine))))
        progress((len(stages) + number + 1) / total)
    return ImplicitModel(model.inputs, tuple(blocks[b.name] for b in model.blocks), tuple(outputs))


class _Walk:
    """The two live cuts, teacher's and regenerated, carried from block to block."""

    def __init__(self, teacher: Teacher, parts: list[Values], store: Store) -> None:
        self._teacher = teacher
        self._parts = parts
        self._store = store
        self._targets = target_tensors(teacher)

    def visit(self, name: str, affine: Affine) -> Visit:
        """Grams of a block; the teacher's state of it is computed on the way."""
        sources = list(dict.fromkeys(t.source for t in affine.terms))
        tensors = {s: self._tensor(s) for s in sources}
        wanted = list(dict.fromkeys([self._targets[name], *self._teacher.tensors.get(name, ())]))
        reader = Reader(self._teacher.submodel([*tensors.values()], wanted), wanted)
        grams = empty_grams(affine)
        for number in range(len(self._parts)):
            read = reader({tensor: self._value("teacher", s, number) for s, tensor in tensors.items()})
            values = {s: self._value("regenerated", s, number) for s in sources}
            accumulate(grams, affine, values, read[self._targets[name]])
            if name in self._teacher.tensors:
                state = read[self._teacher.tensors[name][1]]
                self._store.put(f"teacher {name}", number, state)
        return Visit(name, affine, grams)

    def advance(self, block: StateBlock, dead: tuple[str, ...]) -> None:
        """Keep the compressed block's states and forget what nothing reads any more."""
        sources = {t.source for t in block.affine.terms}
        for number in range(len(self._parts)):
            values = {s: self._value("regenerated", s, number) for s in sources}
            state = block.phi(preactivation(block.affine, values, dense_product))
            self._store.put(f"regenerated {block.name}", number, state)
        self._store.drop(f"{owner} {name}" for owner in ("teacher", "regenerated") for name in dead)

    def _tensor(self, source: str) -> str:
        return self._teacher.tensors[source][1] if source in self._teacher.tensors else source

    def _value(self, owner: str, source: str, number: int) -> Array:
        if source in self._parts[number]:
            return self._parts[number][source]
        return self._store.get(f"{owner} {source}", number)


def dense_product(weight: sparse.csr_array, features: Array) -> Array:
    """weight @ features by BLAS: on large batches faster than the sparse product above 10 % density."""
    return weight.toarray() @ features
