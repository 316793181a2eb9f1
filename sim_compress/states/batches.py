"""Calibration inputs in batches."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from sim_compress.core.engines import Engine, Shared
from sim_compress.model import ImplicitModel, Input
from sim_compress.model.maps import Array

# One batch's states of the whole network stay below this many bytes.
BATCH_BYTES = 256 * 2**20
LARGEST_BATCH = 32
# Batches for each worker that are computed before their turn: memory does not grow with their number.
AHEAD = 2

Values = dict[str, Array]


def batch_size(model: ImplicitModel) -> int:
    """Samples whose states of the whole network may be held at once."""
    states = sum(math.prod(b.affine.shape) + math.prod(b.shape) for b in model.blocks)
    return int(np.clip(BATCH_BYTES // (4 * max(states, 1)), 1, LARGEST_BATCH))


def batches(model: ImplicitModel, inputs: Mapping[str, Array]) -> list[Values]:
    """Views of the calibration inputs, small enough to hold all states of one batch."""
    size, samples = batch_size(model), len(next(iter(inputs.values())))
    return [{n: u[start : start + size] for n, u in inputs.items()} for start in range(0, samples, size)]


def under_way(engine: Engine) -> int:
    """Batches that may be begun, or whose results wait for those of earlier ones."""
    return AHEAD * engine.workers


def shared_batches(engine: Engine, model: ImplicitModel, inputs: Mapping[str, Array]) -> list[Shared[Values]]:
    """The batches where every worker of an engine can read them."""
    parts = batches(model, inputs)
    return [engine.share({n: np.ascontiguousarray(u) for n, u in part.items()}) for part in parts]


def converted(inputs: Iterable[Input], batch: Mapping[str, Array]) -> Values:
    """Some inputs of a batch in the model's own dtypes, with samples on the last axis."""
    return {i.name: np.moveaxis(i.values(batch[i.name].astype(i.dtype, copy=False)), 0, -1) for i in inputs}
