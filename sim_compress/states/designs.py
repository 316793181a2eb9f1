"""Designs and targets of row problems: what the rows of a block may use, and what they must match."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sim_compress.core import Gram
from sim_compress.core.gram import Matrix
from sim_compress.model import Affine, StateBlock, Term, apply_chain, weight_shape
from sim_compress.model.maps import Array
from sim_compress.runtime import term_value
from sim_compress.storage import IN_MEMORY, Storage


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


def moments(affine: Affine, values: Mapping[str, Array], preactivation: Array) -> tuple[Gram, ...]:
    """One batch's Grams of a block, one for each row group.

    Args:
        affine: the block; its weights are not used.
        values: source name -> states the design reads, (*shape, samples).
        preactivation: the teacher's z, (*affine.shape, samples).
    """
    Z = _by_row(affine, preactivation) - _fixed(affine, values)
    return tuple(Gram.of(S, Z[group.rows]) for S, group in _designs(affine, values))


def nearest_targets(
    block: StateBlock,
    rows: Affine,
    values: Mapping[str, Array],
    preactivation: Array,
) -> tuple[Gram, ...]:
    """One batch's Grams of a block with targets moved to the nearest z that gives the teacher's state.

    Args:
        block: the teacher's; where its phi is flat, more than one z gives the same state.
        rows: the block's rows as they are now; the target is nearest to what they give.
        values: source name -> states the design reads, (*shape, samples).
        preactivation: the teacher's z, (*affine.shape, samples).

    Returns:
        Grams without the scatter of the design, which targets do not change.
    """
    fixed = _fixed(rows, values)
    found = np.empty((rows.rows, preactivation.size // rows.rows), np.float32)
    designs = list(_designs(rows, values))
    weights = [w.toarray() for w in rows.weights]
    for S, group in designs:
        parts = [w[group.rows, part] for w, part in zip(weights, group.features, strict=True)]
        found[group.rows] = np.concatenate(parts, axis=1) @ S
    found += fixed if rows.bias is None else fixed + rows.bias[:, None]
    by_row = (rows.rows, *rows.positions, preactivation.shape[-1])
    target = block.phi.nearest(preactivation, np.moveaxis(found.reshape(by_row), 0, rows.row_axis))
    Z = _by_row(rows, target) - fixed
    return tuple(Gram.of(S, Z[group.rows], design=False) for S, group in designs)


def by_column(affine: Affine, parts: Sequence[Matrix]) -> tuple[Matrix, ...]:
    """What row groups say of their features, (features,) each, as (columns,) for each weighted term."""
    found = [np.zeros(weight_shape(w)[1]) for w in affine.weights]
    for group, own in zip(row_groups(affine), parts, strict=True):
        first = 0
        for columns, part in zip(found, group.features, strict=True):
            columns[part] = own[first : first + part.stop - part.start]
            first += part.stop - part.start
    return tuple(found)


def feature_means(affine: Affine, values: Mapping[str, Array]) -> tuple[Matrix, ...]:
    """Mean of the features that each weighted term reads, (columns,) each.

    Args:
        affine: the block.
        values: source name -> what it reads, (*shape, samples).
    """
    return tuple(_features(t, values).mean(axis=1, dtype=np.float64) for t in affine.weighted)


def _by_row(affine: Affine, z: Array) -> Array:
    """(rows, positions * samples) of a pre-activation."""
    return np.moveaxis(z, affine.row_axis, 0).reshape(affine.rows, -1)


def _fixed(affine: Affine, values: Mapping[str, Array]) -> Array:
    """What the fixed terms bring from the given states: no regressors, so they leave the target."""
    fixed = (_by_row(affine, term_value(affine, t, values)) for t in affine.terms if t.weight is None)
    return sum(fixed, np.zeros((), np.float32))


def _designs(affine: Affine, values: Mapping[str, Array]) -> Iterator[tuple[Array, RowGroup]]:
    """Each row group with its features, (features, points)."""
    S = [_features(term, values) for term in affine.weighted]
    for group in row_groups(affine):
        parts = [features[part] for features, part in zip(S, group.features, strict=True)]
        yield parts[0] if len(parts) == 1 else np.concatenate(parts), group


def _features(term: Term, values: Mapping[str, Array]) -> Array:
    """A weighted term's features, (features, positions * samples)."""
    features = apply_chain(term.maps, values[term.source])
    return features.reshape(features.shape[0], -1)


def empty_grams(affine: Affine, *, design: bool = True, storage: Storage = IN_MEMORY) -> tuple[Gram, ...]:
    """Grams of a block before any data; without the scatter of the design on request."""
    return tuple(
        Gram.zeros(g.width, g.rows.stop - g.rows.start, design=design, storage=storage)
        for g in row_groups(affine)
    )


def gram_bytes(affine: Affine) -> int:
    """Bytes of a block's Grams."""
    return sum(Gram.bytes(g.width, g.rows.stop - g.rows.start) for g in row_groups(affine))
