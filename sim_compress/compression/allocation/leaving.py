"""Which channels leave: those that cost the outputs least, whatever block they are in.

Every block's squared error has a price, measured once: what the outputs lose when the block alone gives up
some of its columns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sim_compress.compression.allocation.channels import STAYS, Channels, channels
from sim_compress.compression.allocation.output_error import Trial, some_inputs
from sim_compress.compression.rows.problems import with_rows
from sim_compress.compression.rows.tasks import Planned, fitted
from sim_compress.core import Block, Order, Reader, eliminate, largest
from sim_compress.core.engines import Engine, Shared
from sim_compress.core.refit import RIDGE
from sim_compress.errors import InputError
from sim_compress.model import Affine, ImplicitModel, channel_axes
from sim_compress.model.maps import Array
from sim_compress.states import Teacher, row_groups

# Parts of a block's entries that it gives up to find its price, until its error is this part of its variance.
TRIED = (0.25, 0.5, 0.75, 1.0)
SEEN = 1e-3
# Powers of a set's size by which its cost is divided. Errors of many blocks do not just add: narrow blocks,
# whose sets are small, cannot repair what those before them lose. The outputs tell which power is best.
POWERS = (1.0, 1.5, 2.0)


@dataclass(frozen=True, eq=False)
class Leaving:
    """What a survey says of channels.

    Attributes:
        channels: the sets that can leave.
        readers: block or output name -> its row groups, with the price of their error.
        error: of the outputs when some sets leave and rows are fitted to the teacher's states.
    """

    channels: Channels
    readers: Mapping[str, tuple[Reader, ...]]
    error: Callable[[NDArray[np.bool_]], float]


def leaving(
    teacher: Teacher,
    affines: Mapping[str, Affine],
    inputs: Mapping[str, Array],
    blocks: Mapping[str, tuple[Block, ...]],
    engine: Engine,
    progress: Callable[[float], None],
    prices: Mapping[str, float] = MappingProxyType({}),
) -> Leaving:
    """The channels that can leave, and what the errors of those that read them cost the outputs.

    Args:
        teacher: the network.
        affines: block or output name -> its rows.
        inputs: calibration inputs, name -> (samples, ...).
        blocks: the row problems.
        engine: measures blocks side by side.
        progress: called with the finished part in [0, 1].
        prices: those of some blocks that are known.

    Raises:
        InputError: no channel can.
    """
    found = channels(teacher.model, {n for owner in affines for n in teacher.model.uses(owner)})
    if not found.count:
        raise InputError(
            "no channel of this network can leave alone: its states are mixed, grouped or left as they are; "
            "choose another pattern"
        )
    readers = {n: _readers(n, a, blocks[n], found) for n, a in affines.items()}
    trial = Trial(teacher, some_inputs(teacher.model, inputs, len(readers)))
    shared = engine.share(trial)
    tasks = [
        _Task(name, affines[name], own, found.count, shared)
        for name, own in readers.items()
        if name not in prices
    ]
    new = engine.map(_price, tasks)
    priced: dict[str, tuple[Reader, ...]] = {}
    for name, own in readers.items():
        price = prices[name] if name in prices else next(new)
        priced[name] = tuple(replace(r, price=price) for r in own)
        progress(len(priced) / len(readers))
    shared.drop()

    def error(gone: NDArray[np.bool_]) -> float:
        return trial.error({n: _fitted(affines[n], own, gone) for n, own in readers.items()})

    return Leaving(found, priced, error)


def _readers(name: str, affine: Affine, blocks: tuple[Block, ...], found: Channels) -> tuple[Reader, ...]:
    return tuple(
        Reader(
            block.problems,
            found.rows[name][group.rows],
            np.concatenate([c[f] for c, f in zip(found.columns[name], group.features, strict=True)]),
            biased=block.given | block.constant,
        )
        for block, group in zip(blocks, row_groups(affine), strict=True)
    )


@dataclass(frozen=True)
class _Task:
    """A block and who reads channels there, how many sets can leave, and a trial of the outputs."""

    name: str
    affine: Affine
    readers: tuple[Reader, ...]
    sets: int
    trial: Shared[Trial]


def _price(task: _Task) -> float:
    """Error of the outputs for each unit of the block's own, when some of its columns leave."""
    readers, sets, trial = task.readers, task.sets, task.trial.value
    alone = [replace(r, rows=np.full_like(r.rows, STAYS)) for r in readers]
    entries = eliminate(alone, sets, np.iinfo(np.int64).max).entries
    variance = sum(float((r.problems.row_scale**2 * r.problems.c).sum()) for r in readers)
    for part in TRIED:
        tried = eliminate(alone, sets, round((1 - part) * entries))
        if tried.error > SEEN * variance:
            return trial.error({task.name: _fitted(task.affine, alone, tried.gone)}) / tried.error
    # Nothing that can leave says anything here.
    return 0.0


def _fitted(affine: Affine, readers: Sequence[Reader], gone: NDArray[np.bool_]) -> Affine:
    """The block's rows on the columns that stay, by least squares on the teacher's states."""
    rows = []
    for reader in readers:
        problems, stays = reader.problems, np.flatnonzero(_stays(reader.columns, gone))
        V = np.zeros_like(problems.g)
        assert reader.biased is not None
        for own in filter(np.any, (reader.biased, ~reader.biased)):
            part = problems.only(own)
            part = part if own is reader.biased else part.through_origin()
            H = part.H[np.ix_(stays, stays)] + RIDGE * np.eye(len(stays))
            V[np.ix_(own, stays)] = np.linalg.solve(H, part.g[:, stays].T).T
        rows.append(problems.to_network(V * _stays(reader.rows, gone)[:, None], reader.biased))
    return with_rows(affine, rows)


def remaining(
    known: Leaving,
    model: ImplicitModel,
    blocks: Mapping[str, tuple[Block, ...]],
    target: float,
    multiple: int,
) -> tuple[dict[str, tuple[Planned, ...]], dict[str, NDArray[np.bool_]]]:
    """Full rows on the channels that stay, and which channels of every block do.

    Args:
        known: what the survey says.
        model: the teacher's.
        blocks: the row problems of the blocks that are compressed.
        target: part of their parameters that leaves, as near as whole channels come to it from below.
        multiple: of which the channels of a state are to be, as far as they leave.

    Raises:
        InputError: so much cannot leave.
    """
    readers = [r for own in known.readers.values() for r in own]
    present = sum(a.nnz for n, a in model.affines() if n in known.readers)
    states = [known.channels.rows[b.name] for b in model.blocks]
    count = round((1 - target) * present)
    families = _families(states, known.channels.count)
    orders = [Order(power, families, multiple) for power in POWERS]
    some = [*states, *known.channels.needed]
    tried = [eliminate(readers, known.channels.count, count, some, order) for order in orders]
    found = min(tried, key=lambda way: (way.exhausted, known.error(way.gone)))
    if found.exhausted:
        raise InputError(
            f"a sparsity of {100 * target:g} % cannot be reached by whole channels: without all that can "
            f"leave it is {100 * (1 - found.entries / present):.1f} %; ask for less or choose another pattern"
        )
    groups = {
        n: tuple(_planned(b, r, found.gone) for b, r in zip(blocks[n], own, strict=True))
        for n, own in known.readers.items()
    }
    return groups, {n: _stays(known.channels.rows[n], found.gone) for n in channel_axes(model)}


def whole_words(names: Sequence[str]) -> tuple[str, ...]:
    """What is said of the blocks of which no channel can leave."""
    if not names:
        return ()
    return (
        "these blocks keep all their channels, as what reads them mixes or splits channels, or is left as it "
        f"is: {', '.join(names)}",
    )


def _families(states: Sequence[NDArray[np.int64]], sets: int) -> NDArray[np.int64]:
    """Number of the sets that have channels in the same states, for each set."""
    member = np.array([np.bincount(s[s >= 0], minlength=sets) for s in states])
    return np.unique(member, axis=1, return_inverse=True)[1].ravel()


def _planned(block: Block, reader: Reader, gone: NDArray[np.bool_]) -> Planned:
    support = np.outer(_stays(reader.rows, gone), _stays(reader.columns, gone))
    return Planned(block, support, int(support.sum()), largest, fitted)


def _stays(numbers: NDArray[np.int64], gone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where rows or columns stay."""
    return (numbers == STAYS) | ~gone[np.maximum(numbers, 0)]
