"""Constants of the model: numbers that float32, in which models are evaluated, holds."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sim_compress.errors import InputError


def check_held(what: str, values: ArrayLike, *, infinite: bool = False) -> None:
    """Refuse numbers that become infinite or 0 when they are rounded to float32.

    With such a number, what a kernel computes would depend on the precision of its steps.

    Args:
        what: the name of the constant in the error.
        infinite: infinities are meant, as bounds that bind nothing.

    Raises:
        InputError: a number is NaN, of a size above 3.4e38, or nearer to 0 than 1.4e-45 without being 0.
    """
    wide: Any = np.asarray(values)
    if wide.dtype == np.float32:
        held = np.isfinite(wide)
    else:
        with np.errstate(over="ignore", under="ignore"):
            narrow = wide.astype(np.float32)
        held = np.isfinite(narrow) & ((narrow != 0) | (wide == 0))
    if infinite:
        held |= np.isinf(wide)
    if not held.all():
        raise InputError(f"{what}: expected numbers that float32 holds, found {wide[~held].flat[0]}")
