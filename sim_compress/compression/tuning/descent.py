"""All values together, by gradient descent, until states and outputs are those of the teacher.

Rows that were solved one block after the other repair what came before them; here they also prepare what
comes after. Supports stay, and no label is used.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sim_compress.compression.resume import NO_PIECES, Pieces
from sim_compress.compression.tuning.adam import Adam
from sim_compress.compression.tuning.checkpoints import Checkpoints, first_try
from sim_compress.compression.tuning.coordinates import Coordinates
from sim_compress.compression.tuning.matching import Matching, Numbers
from sim_compress.compression.tuning.robust import RobustMatching
from sim_compress.core import RowProblems
from sim_compress.core.engines import Engine
from sim_compress.model import ImplicitModel
from sim_compress.model.maps import Array

# Parts of the first step that are tried in turn until the values match better.
TRIES = (1.0, 0.2, 0.04)
SEED = 0
# Epochs for an error of 1 of the outputs, where nobody asks for a number.
EPOCHS_PER_ERROR = 500


@dataclass(frozen=True)
class Tuning:
    """What a descent brought.

    Attributes:
        epochs: passes over the inputs; 0 where the values were left alone.
        before, after: E_y + STATES * E_x on the calibration inputs, or both cross-entropies (`robust`); None
            where it was not measured.
    """

    epochs: int = 0
    before: float | None = None
    after: float | None = None

    @property
    def moved(self) -> bool:
        """Whether the values are others than before."""
        return self.before != self.after


def tuned(
    teacher: ImplicitModel,
    model: ImplicitModel,
    inputs: Mapping[str, Array],
    problems: Mapping[str, Sequence[RowProblems]],
    epochs: int,
    engine: Engine,
    progress: Callable[[float], None],
    per_error: float = math.inf,
    pieces: Pieces = NO_PIECES,
    robust: float | tuple[float, ...] | None = None,
) -> tuple[ImplicitModel, Tuning]:
    """The model with other values on the same supports; as it was where they match no better.

    Args:
        teacher: the network.
        model: blocks and outputs of the same names and shapes.
        inputs: input name -> (samples, ...).
        problems: blocks and outputs whose values may change, with the problems of their row groups, in
            whose coordinates they move.
        epochs: passes over the inputs at most.
        engine: computes gradients of samples side by side.
        progress: called with the finished part in [0, 1].
        per_error: the most passes for an error of 1 of the outputs: nearer ones have less to gain.
        pieces: where the values are kept after every epoch.
        robust: how far inputs move against the model, for it to keep the network's classes (`robust`);
            None where it has the network's states and outputs to match.

    Raises:
        InputError: the network has loops, or nothing that can be robust.
    """
    names = list(problems)
    with (
        Matching(teacher, model, inputs, names, engine)
        if robust is None
        else RobustMatching(teacher, model, inputs, names, engine, robust)
    ) as matching:
        return _tuned(matching, model, problems, epochs, progress, per_error, pieces)


def _tuned(
    matching: Matching,
    model: ImplicitModel,
    problems: Mapping[str, Sequence[RowProblems]],
    epochs: int,
    progress: Callable[[float], None],
    per_error: float,
    pieces: Pieces,
) -> tuple[ImplicitModel, Tuning]:
    """The values that match better; arguments as for `tuned`."""
    before = matching.before
    # Nothing to gain, or no number.
    if not 0 < before.outputs < math.inf:
        progress(1.0)
        return model, Tuning()
    epochs = round(min(epochs, per_error * before.outputs))
    affines = dict(model.affines())
    start = {n: [p.copy() for p in own] for n, own in matching.parameters.items()}
    first = first_try(pieces)
    for number, part in enumerate(TRIES if epochs else ()):
        if number < first:
            continue
        blocks = {n: Coordinates(affines[n], p, matching.parameters[n]) for n, p in problems.items()}
        told = partial(_of_tries, progress, number)
        _descend(matching, blocks, epochs, part * matching.step, told, Checkpoints(pieces, number, epochs))
        after = matching.error()
        # A NaN is no better.
        if after.total < before.total:
            progress(1.0)
            return matching.model(), Tuning(epochs, before.total, after.total)
        for name, values in start.items():
            for parameter, value in zip(matching.parameters[name], values, strict=True):
                parameter[:] = value
    progress(1.0)
    return model, Tuning(epochs, before.total, before.total)


def _of_tries(progress: Callable[[float], None], number: int, part: float) -> None:
    progress((number + part) / len(TRIES))


def _descend(
    matching: Matching,
    blocks: Mapping[str, Coordinates],
    epochs: int,
    step: float,
    progress: Callable[[float], None],
    checkpoints: Checkpoints,
) -> None:
    """Adam over batches in random order."""
    batches = _batches(matching.samples, epochs, matching.batch)
    adam = Adam([v for own in blocks.values() for v in own.values], step, len(batches))
    each = len(batches) // epochs
    done = each * checkpoints.restored(adam)
    if done:
        for own in blocks.values():
            own.write()
    for number, batch in enumerate(batches):
        if number < done:
            continue
        # Steps that are too long overflow; the error tells.
        with np.errstate(all="ignore"):
            found = matching.gradient(batch)
            adam.step([g for name, own in blocks.items() for g in own.gradients(found[name])])
            for own in blocks.values():
                own.write()
        progress((number + 1) / len(batches))
        if (number + 1) % each == 0:
            checkpoints.keep(adam, (number + 1) // each)


def _batches(samples: int, epochs: int, size: int) -> list[Numbers]:
    """Numbers of the samples of every step."""
    rng = np.random.default_rng(SEED)
    orders = [rng.permutation(samples) for _ in range(epochs)]
    return [order[first : first + size] for order in orders for first in range(0, samples, size)]
