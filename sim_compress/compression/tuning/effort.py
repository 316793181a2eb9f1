"""How much is done beyond solving the rows, where nobody asks for a number."""

import math

from sim_compress.certificate import order_of_evaluation
from sim_compress.compression.prepared import Prepared
from sim_compress.compression.settings import Settings
from sim_compress.compression.tuning.matching import samples_of_step
from sim_compress.errors import InputError
from sim_compress.model import ImplicitModel
from sim_compress.runtime.reverse.tied_code import LANES
from sim_compress.states.batches import batch_size

# Epochs of tuning at most, and multiplications, which take half a minute on two cores.
EPOCHS, MULTIPLICATIONS = 8, 1.2e12
# A gradient costs those of the values and twice as many on the way back; a state as much as so many.
GRADIENT, STATE = 3, 100
# For robustness: samples of all epochs together (three times as many give the MLP of models/ four points more
# under PGD at 0.03 and cost 0.3 on inputs as they are), multiplications (six epochs of the ResNet-20 there,
# which loses less than a point by them), and what both gradients of a sample cost.
ROBUST_SAMPLES, ROBUST_MULTIPLICATIONS, ROBUST_GRADIENT = 128_000, 8e11, 6
# Parts of a batch that are worked on side by side where it has as many.
SIDE_BY_SIDE = 2
# Refits to moved targets, and multiplications of the network on all inputs up to which they cost a second or
# two: beyond that tuning alone does nearly the same.
NEAREST_ROUNDS, NEAREST_MULTIPLICATIONS = 2, 1e10


def most_epochs(ready: Prepared, settings: Settings) -> int:
    """Epochs of tuning: those asked for, else as many as can be afforded.

    None where the values have other bounds, and where the states of a few samples take much memory.
    """
    if settings.tune is not None:
        return settings.tune
    model = ready.teacher.model
    if settings.robust is not None:
        return _robust_epochs(model, _samples(ready), settings.target_sparsity)
    free = ready.method.tunes and order_of_evaluation(model) is not None
    if not free or batch_size(model) < LANES:
        return 0
    states = sum(math.prod(b.affine.shape) + math.prod(b.shape) for b in model.blocks)
    each = model.multiplications * (1 + GRADIENT * (1 - settings.target_sparsity)) + STATE * states
    return min(EPOCHS, int(MULTIPLICATIONS // (each * _lanes(_samples(ready)))))


def _robust_epochs(model: ImplicitModel, samples: int, sparsity: float) -> int:
    """As many as are worth it, of those that can be afforded; one at least, as that is what was asked for.

    Raises:
        InputError: the network has loops.
    """
    if order_of_evaluation(model) is None:
        raise InputError(
            "robust is how values are tuned, and those of a network with loops are not: leave it out"
        )
    each = model.multiplications * (1 + ROBUST_GRADIENT * (1 - sparsity)) * samples
    return max(1, min(math.ceil(ROBUST_SAMPLES / samples), int(ROBUST_MULTIPLICATIONS // each)))


def nearest_rounds(ready: Prepared, settings: Settings, epochs: int) -> int:
    """Refits to moved targets: those asked for, else some where they are cheap or nothing is tuned."""
    if settings.nearest_rounds is not None:
        return settings.nearest_rounds
    cheap = ready.teacher.model.multiplications * _samples(ready) <= NEAREST_MULTIPLICATIONS
    return NEAREST_ROUNDS if cheap or not epochs else 0


def _samples(ready: Prepared) -> int:
    """Of the designs."""
    return len(next(iter(ready.designs.values())))


def _lanes(samples: int) -> int:
    """Of an epoch, with those that have no sample of their own and those of a core that has nothing to do."""
    batch = samples_of_step(samples)
    return math.ceil(samples / batch) * max(math.ceil(batch / LANES), SIDE_BY_SIDE) * LANES
