"""How a run is done in the memory that there is: the fastest way that fits, or a refusal before any work.

No way changes a byte of the result: tasks and the order of their sums stay, and arrays on disk have the same
numbers.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim_compress.compression.allocation.curves import CURVES
from sim_compress.compression.memory.parts import Part, Way, parts_of
from sim_compress.compression.memory.sizes import Sizes, sizes_of
from sim_compress.compression.rows.in_order import IN_ORDER
from sim_compress.compression.steps.target import Target
from sim_compress.core.engines import Bounded, Engine
from sim_compress.errors import InputError
from sim_compress.runtime.free_memory import available_memory, resident_memory
from sim_compress.states.batches import AHEAD
from sim_compress.storage import IN_MEMORY, OnDisk, Storage

# Bytes of compiled code, sessions of onnxruntime and what allocators keep, which come beside what is held
# when a run begins: 60 to 150 MB on the networks of tools/bench/memory.py.
LIBRARIES = 128 * 2**20
GIGABYTE = 1e9


@dataclass(frozen=True)
class Room:
    """What a run is allowed.

    Attributes:
        workers: tasks that run at once.
        begun: tasks that may be begun, or whose results wait.
        grams: bytes of Grams of one pass over the inputs.
        passes: over the inputs for the Grams on the network's own states.
        on_disk: bytes of large arrays that lie in files, 0 where all are in memory.
    """

    workers: int
    begun: int
    grams: int
    passes: int
    on_disk: int


@dataclass(frozen=True)
class MemoryPlan:
    """What a run takes, before it begins.

    Attributes:
        held: bytes of the process when it begins, with the network, the inputs and libraries to come.
        parts: of the run, in their order.
        bytes: of each part, with the tasks that run.
        room: how it is done.
        peak: bytes at most, on this machine.
        limit: what it may take; None where nobody knows.
        asked: whether the limit was asked for, and is not what is free.
    """

    held: int
    parts: tuple[Part, ...]
    bytes: tuple[int, ...]
    room: Room
    peak: int
    limit: int | None
    asked: bool

    def engine(self, engine: Engine) -> Engine:
        """An engine that keeps to the plan."""
        return engine if self.room.begun >= AHEAD * engine.workers else Bounded(engine, self.room.begun)

    @property
    def storage(self) -> Storage:
        """Where the large arrays lie."""
        return OnDisk() if self.room.on_disk else IN_MEMORY

    def check(self) -> None:
        """Raise InputError where the run does not fit into memory, or what lies in files into TMPDIR."""
        if self.limit is None or self.peak <= self.limit:
            _check_disk(self.room)
            return
        own, part = max(zip(self.bytes, self.parts, strict=True), key=lambda both: both[0])
        where = f"for the {part.name} of {part.block!r}" if part.block else f"for the {part.name}"
        allowed = "allowed (--memory)" if self.asked else "free"
        raise InputError(
            f"the run takes about {_gb(self.peak)}, {_gb(self.held)} of it for the network, the inputs and "
            f"libraries and {_gb(own)} {where}, and "
            f"{_gb(self.limit)} are {allowed}: allow more, {self._advice(part)}"
        )

    def _advice(self, part: Part) -> str:
        if part.name == "tuning":
            return "or leave the values as they are solved (--tune 0)"
        if part.name == "appraisal" or not part.block:
            return "use fewer workers, or give smaller inputs"
        return f"leave {part.block!r} as it is (--ignore), or give fewer or smaller inputs"


def memory_plan(target: Target, memory: int | None = None) -> MemoryPlan:
    """The fastest way to run a target in the memory that there is; the smallest where none fits.

    Args:
        target: what is asked; its engine is the one that was given.
        memory: bytes that this process and worker processes on this machine may take; what is free if not
            given.
    """
    ready, settings, engine = target.ready, target.settings, target.engine
    sizes = sizes_of(ready, settings)
    held = (resident_memory() or 0) + LIBRARIES
    free = available_memory()
    limit = memory if memory is not None else None if free is None else free + held - LIBRARIES
    names = {step.name for step in ready.method.steps(target)}
    way = Way(
        on_disk=False,
        grams=sum(b.grams for b in sizes.compressed),
        begun=AHEAD * engine.workers,
        epochs=target.epochs,
        in_order=IN_ORDER in ready.method.steps(target),
        measured=CURVES.name in names,
        processes=not engine.shares_memory,
    )
    found = None
    for one in _ways(way, sizes, engine.workers):
        found = _planned(sizes, one, engine, held, limit, memory is not None)
        if limit is None or found.peak <= limit:
            return found
    assert found is not None
    return found


def _ways(way: Way, sizes: Sizes, workers: int) -> Iterator[Way]:
    """The fastest first: fewer results that wait, then arrays on disk, more passes, fewer workers."""
    yield way
    yield (way := replace(way, begun=workers))
    yield (way := replace(way, on_disk=True))
    largest = max((b.grams for b in sizes.compressed), default=0)
    while way.grams > largest:
        yield (way := replace(way, grams=max(way.grams // 2, largest)))
    while way.begun > 1:
        yield (way := replace(way, begun=way.begun // 2))


def _planned(sizes: Sizes, way: Way, engine: Engine, held: int, limit: int | None, asked: bool) -> MemoryPlan:
    parts, workers = parts_of(sizes, way), min(engine.workers, way.begun)
    # Workers elsewhere take nothing here.
    running, begun = workers if engine.is_here else 0, min(way.begun, sizes.batches)
    found = tuple(part.bytes(running, begun) for part in parts)
    grams = sum(b.grams for b in sizes.compressed)
    on_disk = sum(b.grams + b.problems + b.paths for b in sizes.compressed) if way.on_disk else 0
    room = Room(workers, way.begun, way.grams, -(-grams // max(way.grams, 1)), on_disk)
    return MemoryPlan(held, parts, found, room, held + max(found), limit, asked)


def _check_disk(room: Room) -> None:
    """InputError where TMPDIR has no room for what does not fit into memory."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if room.on_disk > free:
        raise InputError(
            f"the run keeps {_gb(room.on_disk)} on disk, since they do not fit into memory, and {folder} has "
            f"{_gb(free)} free: set TMPDIR to another folder, or allow more memory (--memory)"
        )


def _gb(size: int) -> str:
    return f"{size / GIGABYTE:.2f} GB"
