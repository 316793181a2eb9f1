"""Rows and features that do not vary over the calibration inputs, named: the inputs say nothing of them."""

from collections.abc import Mapping

import numpy as np

from sim_compress.core import Gram
from sim_compress.model import Affine
from sim_compress.states import row_groups

# Blocks that a note names before it only counts.
NAMED = 4


def unvaried(
    affines: Mapping[str, Affine], grams: Mapping[str, tuple[Gram, ...]], *, damped: bool
) -> tuple[str, ...]:
    """A note where pre-activations, or features that rows read, are constant to float32's rounding.

    Args:
        affines: block or output name -> its rows.
        grams: their moments, one for each row group.
        damped: whether the network's rows decide where the inputs do not.
    """
    found = [text for name, affine in affines.items() for text in _constants(name, affine, grams[name])]
    if not found:
        return ()
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    weights = "stay the network's, the largest of them" if damped else "leave, and the bias takes their place"
    return (
        f"constant over the calibration inputs: {', '.join(found[:NAMED])}{more}; their weights {weights}",
    )


def _constants(name: str, affine: Affine, grams: tuple[Gram, ...]) -> list[str]:
    """What does not vary in one block."""
    rows = sum(int(np.count_nonzero(gram.target_variance == 0)) for gram in grams)
    total = sum(len(gram.target_mean) for gram in grams)
    constant: dict[tuple[int, int], bool] = {}
    for group, gram in zip(row_groups(affine), grams, strict=True):
        places = [(t, j) for t, part in enumerate(group.features) for j in range(part.start, part.stop)]
        constant |= dict(zip(places, gram.variance == 0, strict=True))
    features = sum(constant.values())
    texts = [f"{rows} of {total} rows of {name!r}"] if rows else []
    return [*texts, f"{features} of {len(constant)} features of {name!r}"] if features else texts
