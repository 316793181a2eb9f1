"""Arrays of the reverse mode: entries by lanes, with an entry of zeros behind the last."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from sim_compress.model.maps import Array, Shape
from sim_compress.runtime.compiled.code.vectors import ALIGNED
from sim_compress.runtime.reverse.tied_code import LANES

Floats = NDArray[np.float32]


def aligned(*shape: int) -> Floats:
    """An uninitialised array whose memory begins with a whole vector."""
    size = int(np.prod(shape))
    raw = np.empty(size + ALIGNED // 4, np.float32)
    skipped = -raw.ctypes.data % ALIGNED // 4
    return raw[skipped : skipped + size].reshape(shape)


def entries(size: int) -> Floats:
    """(size + 1, LANES) for so many entries; the last is zero, what padding reads."""
    made = aligned(size + 1, LANES)
    made[-1] = 0
    return made


class Buffers:
    """Entries by key, made once: memory asked for anew costs more than most of what is done with it."""

    def __init__(self) -> None:
        self._held: dict[Hashable, Floats] = {}

    def entries(self, key: Hashable, size: int) -> Floats:
        """(size + 1, LANES) with whatever they held before; the last is zero unless it was written to."""
        if key not in self._held:
            self._held[key] = entries(size)
        return self._held[key]


def shaped(values: Floats, shape: Shape) -> Floats:
    """The entries as (*shape, LANES), a view."""
    return values[:-1].reshape(*shape, LANES)


def filled(batch: Array) -> Array:
    """Samples (n, *shape), at most LANES, as (*shape, LANES); lanes left over repeat the last sample."""
    numbers = np.minimum(np.arange(LANES), len(batch) - 1)
    return np.ascontiguousarray(np.moveaxis(batch[numbers], 0, -1))


def batch_of(values: Floats, shape: Shape, samples: int) -> Array:
    """The entries of the first lanes as (samples, *shape)."""
    return np.ascontiguousarray(np.moveaxis(shaped(values, shape)[..., :samples], -1, 0))
