"""Rows and features that do not vary over the calibration inputs, named: the inputs say nothing of them."""

from collections.abc import Container, Mapping

import numpy as np

from sim_compress.core import Gram
from sim_compress.model import Affine
from sim_compress.states import by_column

# Blocks that a note names before it only counts.
NAMED = 4
# An input of more features than this is an image or a signal: some entries of most of them never vary, as
# black pixels at a border, and this part of them must be constant before that is worth a word.
TABLE, MOST = 64, 0.5


def unvaried(
    affines: Mapping[str, Affine],
    grams: Mapping[str, tuple[Gram, ...]],
    inputs: Container[str],
    *,
    damped: bool,
) -> tuple[str, ...]:
    """A note where pre-activations, or features that rows read, are constant to float32's rounding.

    Args:
        affines: block or output name -> its rows.
        grams: their moments, one for each row group.
        inputs: names of the network's inputs.
        damped: whether the network's rows decide where the inputs do not.
    """
    found = [
        text
        for name, affine in affines.items()
        for text in _constants(name, affine, grams[name], inputs if damped else ())
    ]
    if not found:
        return ()
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    weights = "stay the network's, the largest of them" if damped else "leave, and the bias takes their place"
    return (
        f"constant over the calibration inputs: {', '.join(found[:NAMED])}{more}; their weights {weights}",
    )


def _constants(name: str, affine: Affine, grams: tuple[Gram, ...], inputs: Container[str]) -> list[str]:
    """What does not vary in one block; a few entries of a large input are not counted."""
    rows = sum(int(np.count_nonzero(gram.target_variance == 0)) for gram in grams)
    total = sum(len(gram.target_mean) for gram in grams)
    constant = by_column(affine, [(gram.variance == 0).astype(float) for gram in grams])
    features = 0
    for term, own in zip(affine.weighted, constant, strict=True):
        large = term.source in inputs and len(own) > TABLE
        features += 0 if large and own.mean() < MOST else int(own.sum())
    width = sum(len(own) for own in constant)
    texts = [f"{rows} of {total} rows of {name!r}"] if rows else []
    return [*texts, f"{features} of {width} features of {name!r}"] if features else texts
