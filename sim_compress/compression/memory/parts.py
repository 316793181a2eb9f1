"""Bytes that each part of a run takes beside what the process holds when it begins.

The factors are counted from the code, and checked by tools/bench/memory.py: a run's peak stays below the sum.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sim_compress.compression.memory.sizes import BlockSizes, Sizes
from sim_compress.core.engines.stored import READ_ONCE
from sim_compress.core.engines.threads import MEMORY_BOUND
from sim_compress.runtime.reverse.tied_code import LANES

# Bytes of float32 and of float64.
SINGLE, DOUBLE = 4, 8
# Copies of what a block's rows read and give while a batch becomes a Gram: the features, those of all terms
# side by side, their deviations; the targets, without what is fixed, and their deviations.
COPIES = 3
# Bytes for each entry of H, and of the rows, while the rows of one group are solved: factors, eigenvectors, H
# with a constant; starts, multipliers, masks in both precisions.
OF_SQUARE, OF_ENTRY = 48, 88
# Bytes for each entry of the rows while a support is tried for its error.
TRIED = 48
# Arrays of the size of all pre-activations and states in reverse mode: of both networks, and gradients.
REVERSED = 4
# Bytes of tuning for each nonzero of the network, and for each that stays: values, columns; coordinates,
# their units, both moments, a start to go back to.
OF_TEACHER, OF_STUDENT = 8, 64
# Gradients of a step that wait for each other: those of 64 samples in lanes, and their sum.
GRADIENTS = 5
# Bytes for each nonzero while the artifact is made and read again.
WRITTEN = 24
# Bytes of a worker process before it works: interpreter, numpy, scipy, numba, onnxruntime.
PROCESS = 250 * 2**20
NAMES = ("Grams", "row problems", "paths", "output curves", "convex rows", "rows", "tuning", "appraisal")


@dataclass(frozen=True)
class Part:
    """Memory of one part of a run.

    Attributes:
        name: of the part.
        here: bytes where the program runs, whatever the number of tasks.
        each: more for every task that runs.
        waiting: more for every task that is begun, whose result may have to wait.
        block: that needs most of it; empty where none stands out.
    """

    name: str
    here: int
    each: int = 0
    waiting: int = 0
    block: str = ""

    def bytes(self, running: int, begun: int) -> int:
        """In all, with so many tasks."""
        return self.here + running * self.each + begun * self.waiting


@dataclass(frozen=True)
class Way:
    """How a run is done, as far as it decides its memory.

    Attributes:
        on_disk: whether large arrays lie in files.
        grams: bytes of Grams of one pass over the inputs.
        begun: tasks that may be begun.
        epochs: of tuning.
        in_order: whether blocks are solved one after the other on regenerated states.
        measured: whether output curves are.
        processes: whether workers are processes.
    """

    on_disk: bool
    grams: int
    begun: int
    epochs: int
    in_order: bool
    measured: bool
    processes: bool


def parts_of(sizes: Sizes, way: Way) -> tuple[Part, ...]:
    """The parts of a run in their order."""
    every = _Held(sizes, way)
    made = [every.grams(), every.problems(), every.paths(), every.convex()]
    made += [every.curves()] if way.measured else []
    made += [every.rows(), *([every.tuning()] if way.epochs else []), every.appraisal()]
    return tuple(sorted(made, key=lambda part: NAMES.index(part.name)))


class _Held:
    """The parts, with what earlier ones leave behind."""

    def __init__(self, sizes: Sizes, way: Way) -> None:
        self._sizes, self._way, self._blocks = sizes, way, sizes.compressed
        self._all_grams = sum(b.grams for b in self._blocks)
        self._all_problems = sum(b.problems for b in self._blocks)
        self._all_paths = sum(b.paths for b in self._blocks)
        self._supports = sum(b.all_entries for b in self._blocks)

    def grams(self) -> Part:
        whole = min(self._way.grams, self._all_grams)
        largest = self._largest(lambda b: b.grams)
        made = max(whole, largest.grams)
        reading = self._batch(3 * self._sizes.states)
        each = reading + max((self._design(b) for b in self._blocks), default=0)
        return self._part("Grams", self._resident(self._all_grams, made), each, made, largest)

    def problems(self) -> Part:
        block = self._largest(lambda b: b.problems)
        held = self._all_grams + self._all_problems
        temporary = 2 * DOUBLE * (block.squares + block.entries)
        return self._part("row problems", self._resident(held, block.problems) + temporary, block=block)

    def paths(self) -> Part:
        return self._side_by_side("paths", self._all_paths, lambda b: b.paths + 2 * DOUBLE * b.all_entries)

    def convex(self) -> Part:
        return self._side_by_side("convex rows", self._all_paths + self._supports, _solved)

    def curves(self) -> Part:
        """States of some inputs are held, and changed behind every block that is tried."""
        block = self._largest(lambda b: TRIED * b.all_entries)
        here = self._resident(self._after_paths, block.problems + block.paths) + self._batch(
            self._sizes.states
        )
        each = self._batch(self._sizes.states) + TRIED * block.all_entries + DOUBLE * block.squares
        each += max((self._design(b) for b in self._sizes.blocks), default=0)
        return self._part(
            "output curves", here, each + self._mapped(block.problems + block.paths), block=block
        )

    def rows(self) -> Part:
        if not self._way.in_order:
            return self._side_by_side("rows", self._after_paths + DOUBLE * self._supports, _solved)
        begun, running = self._way.begun, min(self._way.begun, self._sizes.batches)

        def needed(b: BlockSizes) -> int:
            states = running * (self._design(b) + self._batch(3 * b.z))
            return (2 + begun) * b.grams + b.problems + _solved(b) + states

        block = self._largest(needed)
        held = self._resident(self._after_paths, 0) + self._supports + DOUBLE * self._sizes.parameters
        here = held + 2 * MEMORY_BOUND * (self._cut > MEMORY_BOUND) + self._cut * (self._cut <= MEMORY_BOUND)
        here += 2 * block.grams + block.problems + _solved(block)
        each = self._design(block) + self._batch(3 * block.z)
        return self._part("rows", here, each, block.grams, block)

    def tuning(self) -> Part:
        sizes = self._sizes
        held = self._resident(self._after_paths, 0) + self._supports
        values = OF_TEACHER * sizes.parameters + OF_STUDENT * sizes.kept
        lanes = SINGLE * LANES * (REVERSED * sizes.states + 3 * sizes.computed)
        # Each network has its tables, and one is made from whole numbers of 8 bytes.
        tables = 2 * SINGLE * sizes.tables + 2 * DOUBLE * max((b.features for b in sizes.blocks), default=0)
        here = held + values + tables + GRADIENTS * SINGLE * sizes.kept
        return self._part("tuning", here, lanes + self._mapped(values + tables))

    def appraisal(self) -> Part:
        sizes = self._sizes
        held = self._resident(self._after_paths, 0) + self._supports + (DOUBLE + WRITTEN) * sizes.kept
        each = self._batch(3 * sizes.states) + max((self._design(b) for b in sizes.blocks), default=0)
        return self._part("appraisal", held, each + self._mapped(DOUBLE * sizes.kept))

    @property
    def _after_paths(self) -> int:
        return self._all_grams + self._all_problems + self._all_paths + self._supports

    @property
    def _cut(self) -> int:
        """Bytes of the states of all samples at most; two cuts of them are live."""
        return SINGLE * self._sizes.samples * self._sizes.states

    def _side_by_side(self, name: str, after: int, work: Callable[[BlockSizes], int]) -> Part:
        """Row groups, one after the other where memory is shared, else one in each worker."""
        block = self._largest(work)
        own = block.problems + block.paths
        here = self._resident(self._all_grams + self._all_problems + after, own)
        if self._way.processes:
            return self._part(name, here, work(block) + self._mapped(own), block=block)
        return self._part(name, here + work(block), block=block)

    def _resident(self, held: int, now: int) -> int:
        """What is held of arrays that may lie on disk, where so much of them is needed at a time."""
        return min(now, held) if self._way.on_disk else held

    def _mapped(self, size: int) -> int:
        """What a worker process maps of values that are shared."""
        return READ_ONCE * size if self._way.processes else 0

    def _part(
        self, name: str, here: int, each: int = 0, waiting: int = 0, block: BlockSizes | None = None
    ) -> Part:
        process = PROCESS if self._way.processes and each else 0
        return Part(name, here, each + process, waiting, block.name if block else "")

    def _batch(self, entries: int) -> int:
        return SINGLE * min(self._sizes.batch, self._sizes.samples) * entries

    def _design(self, b: BlockSizes) -> int:
        """Features and targets of a batch, and the products that become a Gram."""
        return self._batch(COPIES * (b.features + b.z)) + 3 * SINGLE * (b.squares + b.entries)

    def _largest(self, work: Callable[[BlockSizes], int]) -> BlockSizes:
        nothing = BlockSizes("", (), 0, 0, 0, 0, compressed=False)
        return max(self._blocks, key=work, default=nothing)


def _solved(b: BlockSizes) -> int:
    """While the rows of one group are solved."""
    return OF_SQUARE * b.squares + OF_ENTRY * b.entries
