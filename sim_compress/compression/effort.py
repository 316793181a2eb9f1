"""How much is done beyond solving the rows, where nobody asks for a number."""

import numpy as np

from sim_compress.certificate import order_of_evaluation
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.settings import Settings
from sim_compress.model import ImplicitModel
from sim_compress.runtime.reverse.tied_code import LANES
from sim_compress.states.batches import batch_size

# Epochs of tuning at most, and multiplications, which take half a minute on two cores.
EPOCHS, MULTIPLICATIONS = 8, 1e12
# A gradient costs those of the values and twice as many on the way back.
GRADIENT = 3
NEAREST_ROUNDS = 2


def most_epochs(ready: Prepared, settings: Settings) -> int:
    """Epochs of tuning: those asked for, else as many as can be afforded.

    None where the values have other bounds, and where the states of a few samples take much memory.
    """
    if settings.tune is not None:
        return settings.tune
    model = ready.teacher.model
    free = settings.rows_in_order and ready.convex is None and order_of_evaluation(model) is not None
    if not free or batch_size(model) < LANES:
        return 0
    samples = len(next(iter(ready.designs.values())))
    each = _multiplications(model) * (1 + GRADIENT * (1 - settings.target_sparsity))
    return min(EPOCHS, int(MULTIPLICATIONS // (each * samples)))


def nearest_rounds(settings: Settings, epochs: int) -> int:
    """Refits to moved targets: those asked for, else none where so many epochs of tuning do the same."""
    if settings.nearest_rounds is not None:
        return settings.nearest_rounds
    return 0 if epochs else NEAREST_ROUNDS


def _multiplications(model: ImplicitModel) -> int:
    """Of one sample."""
    return sum(w.nnz * int(np.prod(a.positions)) for _, a in model.affines() for w in a.weights)
