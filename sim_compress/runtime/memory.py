"""What evaluating a sample takes of memory, before anything is made of that size."""

from dataclasses import dataclass
from math import prod

from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel, Term
from sim_compress.runtime.free_memory import available_memory
from sim_compress.runtime.schedule import schedule

# Bytes of an element of the arrays at hand: of each sample, and of the tables that the numba kernel makes of
# a block for all samples. Measured: 8 and 40 to 80, 200 where a block is copied entry by entry.
SAMPLE, TABLES = 8, 64
# Below this nobody is asked how much memory there is.
SMALL = 2**28


@dataclass(frozen=True)
class WorkingSet:
    """Elements of the arrays that a sample needs at a time, at most.

    Attributes:
        elements: all that live together while the largest block is evaluated.
        block: name of the block or output that needs the most by itself.
        own: elements of its z and of the arrays of its longest chain.
    """

    elements: int
    block: str
    own: int


def working_set(model: ImplicitModel) -> WorkingSet:
    """The working set of one sample of a model."""
    owns = {name: prod(a.shape) + max(_chain(t, model) for t in a.terms) for name, a in model.affines()}
    live = sum(prod(i.shape) for i in model.inputs)
    most = live
    for stage in schedule(model):
        live += sum(prod(b.shape) for b in stage.blocks)
        most = max(most, live + max(owns[b.name] for b in stage.blocks))
        live -= sum(prod(model.shapes[name]) for name in stage.dead)
    live += sum(prod(o.shape) for o in model.outputs)
    most = max(most, live, *(live + owns[o.name] for o in model.outputs))
    largest = max(owns, key=lambda name: owns[name])
    return WorkingSet(most, largest, owns[largest])


def _chain(term: Term, model: ImplicitModel) -> int:
    """Elements of the two largest arrays in a row of a chain: one is read while the next is written."""
    shape, before, most = model.shapes[term.source], 0, 0
    for step in term.maps:
        shape = step.out_shape(shape)
        size = prod(shape)
        before, most = size, max(most, before + size)
    return most


def check_memory(needed: WorkingSet, kernel: str, samples: int) -> None:
    """Refuse a batch that this process has no memory for.

    Raises:
        InputError: with the block that needs the most, what it takes, and what there is.
    """
    tables = TABLES * needed.own if kernel == "numba" else 0
    size = SAMPLE * needed.elements * samples + tables
    if size <= SMALL:
        return
    free = available_memory()
    if free is not None and size > free:
        hint = "use kernel='scipy', which needs no tables" if tables else "give fewer samples at a time"
        raise InputError(
            f"a batch of {samples} takes about {size / 1e9:.1f} GB with kernel={kernel!r}, most of it for "
            f"{needed.block!r} ({needed.own} numbers a sample); {free / 1e9:.1f} GB are free: {hint}"
        )
