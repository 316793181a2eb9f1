"""Tied rows of M from the dense weights of a node."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sim_compress.frontend.refusal import RefusalError
from sim_compress.frontend.weights import room
from sim_compress.model import Affine, LinearMap, Pad, Shape, Term
from sim_compress.model.maps import Array
from sim_compress.storage import is_mapped, pieces

# (rows, features, groups) -> columns of the matrices that are held somewhere. In BERT-base they would take as
# much as the weights, and three shapes have all of them.
COLUMNS: WeakValueDictionary[tuple[int, int, int], NDArray[Any]] = WeakValueDictionary()

# Where a weight stands in memory, with its shape -> that weight, and its rows.
Made = dict[tuple[Any, ...], tuple[Array, sparse.csr_array]]
MADE: ContextVar[Made | None] = ContextVar("rows made so far", default=None)


def finite(values: Array) -> NDArray[np.float32]:
    """Parameters of the file as float32.

    Raises:
        RefusalError: one is infinite or not a number.
    """
    with np.errstate(over="ignore"):
        single = values.astype(np.float32, copy=False)
    if not all(np.isfinite(piece).all() for piece in pieces(single)):
        raise RefusalError("its parameters are not all finite numbers; train or export the network again")
    return single


def rows_of(
    x: Affine,
    maps: Sequence[LinearMap],
    weight: Array,
    shape: Shape,
    row_axis: int = 0,
    groups: int = 1,
) -> Affine:
    """Tied rows on an expression whose terms are one or side by side, see `side_by_side`.

    Args:
        x: unweighted.
        maps: give features (k, *positions) that keep the order of axis `row_axis` of x; each entry along
            it gives the same number of features.
        weight: dense (rows, k), or (rows, k / groups).
        shape: of the result, with its rows on `row_axis`.
        groups: see `Term`.

    Raises:
        RefusalError: a weight is not finite, or a map does not fit.
    """
    if len(x.terms) == 1:
        (part,) = x.terms
        terms = (Term(part.source, (*part.maps, *maps), tied_rows(weight, groups), groups),)
        return Affine(shape, terms, None, row_axis)
    width = weight.shape[1] // x.shape[row_axis]
    terms = tuple(
        Term(part.source, (*part.maps, *maps), tied_rows(weight[:, start * width : stop * width]))
        for start, stop, part in side_by_side(x, row_axis) or ()
    )
    return Affine(shape, terms, None, row_axis)


def side_by_side(x: Affine, axis: int) -> list[tuple[int, int, Term]] | None:
    """The parts of a concatenation along an axis, in order: (start, stop, term of that part alone).

    None where the terms are no such parts, or leave a gap.
    """
    parts = []
    for term in x.terms:
        pad = term.maps[-1] if term.maps else None
        if not isinstance(pad, Pad) or sum(pad.before) + sum(pad.after) > pad.before[axis] + pad.after[axis]:
            return None
        stop = x.shape[axis] - pad.after[axis]
        parts.append((pad.before[axis], stop, replace(term, maps=term.maps[:-1])))
    parts.sort(key=lambda part: part[:2])
    ends = [0, *(stop for _, stop, _ in parts)]
    starts = [*(start for start, _, _ in parts), x.shape[axis]]
    return parts if starts == ends else None


def tied_rows(weight: Array, groups: int = 1) -> sparse.csr_array:
    """Dense rows (rows, k) as float32 CSR over groups * k features; rows of group i use the i-th k.

    Without a zero among them the values are not copied where they stand in order.

    Raises:
        RefusalError: a weight is infinite or not a number.
    """
    made = MADE.get()
    if made is None:
        return _new_rows(weight, groups)
    key = (weight.ctypes.data, weight.shape, weight.strides, weight.dtype.str, groups)
    if key not in made:
        # While the weight is held nothing else can stand where it does.
        made[key] = weight, _new_rows(weight, groups)
    return made[key][1]


@contextmanager
def one_set_a_weight() -> Iterator[None]:
    """Give the same rows wherever a weight is used: a network of 500 steps would hold 500 copies of it."""
    token = MADE.set({})
    try:
        yield
    finally:
        MADE.reset(token)


def _new_rows(weight: Array, groups: int) -> sparse.csr_array:
    rows, width = weight.shape
    values = _in_order(finite(weight)).ravel()
    columns = _columns(rows, width, groups)
    pointers = np.arange(rows + 1, dtype=columns.dtype) * columns.dtype.type(width)
    full = bool(values.all())
    parts = (values, columns, pointers) if full else (values.copy(), columns.copy(), pointers)
    tied = sparse.csr_array(parts, shape=(rows, groups * width))
    tied.has_canonical_format = True
    if not full:
        tied.eliminate_zeros()
    return tied


def _in_order(weight: Array) -> Array:
    """Rows that stand one after the other in memory; those of a mapped file in another file."""
    if weight.flags.c_contiguous or not is_mapped(weight):
        return np.ascontiguousarray(weight)
    found = room(weight.shape, in_file=True)
    found[...] = weight
    return found


def _columns(rows: int, width: int, groups: int) -> NDArray[Any]:
    """The columns of rows without zeros; matrices of one shape share them, since nothing writes to them."""
    shape = (rows, width, groups)
    table = COLUMNS.get(shape)
    if table is None:
        index = np.int32 if max(rows, groups) * width <= np.iinfo(np.int32).max else np.int64
        first = np.arange(rows, dtype=index) // (rows // groups) * index(width)
        table = COLUMNS[shape] = first[:, None] + np.arange(width, dtype=index)
    # A view, as those that scipy makes, keeps the table.
    return table.ravel()
