"""Bounds of linear functions of states, block after block backwards (CROWN, arXiv 1811.00866).

By the lines of phi a linear function of the states of a block lies above one of its pre-activations, which is
one of the block's sources; in the end it is one of inputs in a box.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sim_compress.model import Affine, ImplicitModel, weight_shape
from sim_compress.model.maps import Array
from sim_compress.model.matrices import unrolled
from sim_compress.robustness.boxes import Box, Reach
from sim_compress.robustness.intervals import ROUNDING
from sim_compress.robustness.lines import Lines

# Beyond this part of nonzeros a dense product is the faster one.
DENSE = 0.1
# Rounding of float64, relative to the sizes of what is summed.
SUMMED = 1e-11


@dataclass(frozen=True, eq=False)
class Unrolled:
    """z = sum over sources of M x + constant, positions unrolled."""

    parts: Mapping[str, Array | sparse.csr_array]
    constant: Array


def unrolled_rows(model: ImplicitModel, affine: Affine) -> Unrolled:
    """The rows of a block or output; their products are taken from the left."""
    parts, constant = unrolled(model, affine)
    return Unrolled({n: _fast(M) for n, M in parts.items()}, constant)


@dataclass(frozen=True, eq=False)
class Known:
    """What the bounds of a block need.

    Attributes:
        rows: of the block.
        lines: of its phi; None where they end at its state.
        reach: of its pre-activation.
        state: where its state lies.
        exact: whether phi is computed without rounding.
    """

    rows: Unrolled
    lines: Lines | None
    reach: Reach
    state: Box
    exact: bool


def lowest(functions: Mapping[str, Array], blocks: Mapping[str, Known], boxes: Mapping[str, Box]) -> Array:
    """A lower bound of linear functions, (samples, functions).

    Args:
        functions: source -> coefficients (samples, functions, entries) of a sum over sources.
        blocks: name -> what is known of those that are gone through, in order of evaluation.
        boxes: of all other sources.
    """
    left = dict(functions)
    first = next(iter(functions.values()))
    total = np.zeros(first.shape[:2])
    for name in reversed(list(blocks)):
        if name not in left:
            continue
        own, known = left.pop(name), blocks[name]
        if known.lines is None:
            total += _over_box(own, known.state)
            continue
        up, down = np.maximum(own, 0), np.minimum(own, 0)
        line = known.lines
        total += _times(up, line.low_height) + _times(down, line.high_height)
        if not known.exact:
            total -= _times(up - down, ROUNDING * (known.state.largest + known.reach.box.largest))
        own = up * _flat(line.low_slope)[:, None] + down * _flat(line.high_slope)[:, None]
        size = known.reach.rounding + SUMMED * known.reach.box.largest
        total += own @ known.rows.constant - _times(np.abs(own), size)
        for source, matrix in known.rows.parts.items():
            brought = _through(own, matrix)
            left[source] = left[source] + brought if source in left else brought
    for name, own in left.items():
        total += _over_box(own, boxes[name])
    return total


def _over_box(own: Array, box: Box) -> Array:
    """The least of a linear function over a box."""
    size = SUMMED * _times(np.abs(own), box.largest)
    return _times(np.maximum(own, 0), box.low) + _times(np.minimum(own, 0), box.high) - size


def _flat(values: Array) -> Array:
    """(*shape, samples) as (samples, entries)."""
    return values.reshape(-1, values.shape[-1]).T


def _times(own: Array, values: Array) -> Array:
    """(samples, functions, entries) times (*shape, samples), summed over entries."""
    with np.errstate(invalid="ignore"):
        return np.matmul(own, _flat(values)[:, :, None])[..., 0]


def _through(own: Array, matrix: Array | sparse.csr_array) -> Array:
    samples, functions, entries = own.shape
    found = own.reshape(-1, entries) @ matrix
    return np.asarray(found).reshape(samples, functions, -1)


def _fast(M: sparse.csr_array) -> Array | sparse.csr_array:
    rows, columns = weight_shape(M)
    return M.toarray() if M.nnz > DENSE * rows * columns else M
