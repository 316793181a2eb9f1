"""Designs and targets of row problems: what the rows of a block may use, and what they must match."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim_compress.core import Gram
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine, Term, apply_chain, weight_shape
from sim_compress.model.maps import Array
from sim_compress.runtime import term_value


@dataclass(frozen=True)
class RowGroup:
    """Rows of one block that share a design: all rows, or one group of a grouped convolution.

    Attributes:
        rows: rows of the block.
        features: for each weighted term in order, the features these rows may use.
    """

    rows: slice
    features: tuple[slice, ...]

    @property
    def width(self) -> int:
        """Number of features of the design."""
        return sum(s.stop - s.start for s in self.features)


def row_groups(affine: Affine) -> tuple[RowGroup, ...]:
    """The row groups of a block; empty where no term has a weight."""
    terms = affine.weighted
    if not terms:
        return ()
    count = math.lcm(*(t.groups for t in terms))
    size = affine.rows // count
    widths = [weight_shape(w)[1] // t.groups for t, w in zip(terms, affine.weights, strict=True)]
    return tuple(
        RowGroup(
            slice(i * size, (i + 1) * size),
            tuple(_part(i * t.groups // count, width) for t, width in zip(terms, widths, strict=True)),
        )
        for i in range(count)
    )


def _part(number: int, width: int) -> slice:
    return slice(number * width, (number + 1) * width)


def teacher_rows(affine: Affine, group: RowGroup) -> Matrix:
    """The group's rows of M as the model has them, dense, (rows, features)."""
    parts = [w[group.rows, part].toarray() for w, part in zip(affine.weights, group.features, strict=True)]
    return np.hstack(parts).astype(np.float64)


def accumulate(
    grams: tuple[Gram, ...], affine: Affine, values: Mapping[str, Array], preactivation: Array
) -> None:
    """Add one batch to a block's Grams, one for each row group.

    Args:
        grams: as many as row_groups(affine).
        affine: the block; its weights are not used.
        values: source name -> states the design reads, (*shape, samples).
        preactivation: the teacher's z, (*affine.shape, samples).
    """
    Z = np.moveaxis(preactivation, affine.row_axis, 0)
    # A fixed term is no regressor: what it brings from the given states is subtracted from the target.
    for term in affine.terms:
        if term.weight is None:
            Z = Z - np.moveaxis(term_value(affine, term, values), affine.row_axis, 0)
    Z = Z.reshape(affine.rows, -1)
    S = [_features(term, values) for term in affine.weighted]
    for gram, group in zip(grams, row_groups(affine), strict=True):
        parts = [features[part] for features, part in zip(S, group.features, strict=True)]
        gram.add(parts[0] if len(parts) == 1 else np.concatenate(parts), Z[group.rows])


def _features(term: Term, values: Mapping[str, Array]) -> Array:
    """A weighted term's features, (features, positions * samples)."""
    features = apply_chain(term.maps, values[term.source])
    return features.reshape(features.shape[0], -1)


def empty_grams(affine: Affine) -> tuple[Gram, ...]:
    """Grams of a block before any data."""
    return tuple(Gram.zeros(g.width, g.rows.stop - g.rows.start) for g in row_groups(affine))
