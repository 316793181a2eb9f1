"""A chain of fixed maps as one sparse matrix L and a constant l: vec(chain(x)) = L vec(x) + l."""

from collections.abc import Sequence
from math import prod

import numpy as np
from scipy import sparse

from sim_compress.errors import InputError
from sim_compress.model.maps import (
    AlongAxis,
    Array,
    LinearMap,
    Lookup,
    Offset,
    Scale,
    Shape,
    Sum,
    apply_chain,
)


def _matrix(step: LinearMap, shape: Shape) -> sparse.csr_array:
    """The linear part of one map on row-major vectors."""
    size, out = int(np.prod(shape)), step.out_shape(shape)
    if isinstance(step, Offset):
        return sparse.csr_array(sparse.eye_array(size))
    if isinstance(step, Scale):
        return sparse.csr_array(sparse.diags_array(np.broadcast_to(step.factor, shape).ravel()))
    if isinstance(step, AlongAxis):
        lead, tail = int(np.prod(shape[: step.axis])), int(np.prod(shape[step.axis + 1 :]))
        inner = sparse.kron(step.matrix.astype(np.float64), sparse.eye_array(tail), format="csr")
        return sparse.csr_array(sparse.kron(sparse.eye_array(lead), inner, format="csr"))
    # A selection moves entries and a sum merges them: push each entry's number through and read it back.
    numbers = np.arange(1, size + 1).reshape(*shape, 1)
    if isinstance(step, Sum):
        kept = tuple(1 if axis in step.axes else s for axis, s in enumerate(shape))
        rows = np.broadcast_to(np.arange(np.prod(out)).reshape(kept), shape).ravel()
        columns = np.arange(size)
    else:
        picked = step.apply(numbers).ravel()
        rows = np.flatnonzero(picked)
        columns = picked[rows] - 1
    ones = np.ones(len(rows))
    return sparse.csr_array((ones, (rows, columns)), shape=(int(np.prod(out)), size))


def fan_in(step: LinearMap, shape: Shape) -> int:
    """The most entries of the input that one entry of the output depends on."""
    if isinstance(step, Sum):
        return prod(shape[axis] for axis in step.axes)
    if isinstance(step, AlongAxis):
        return int(np.diff(step.matrix.indptr).max(initial=0))
    return 1


def chain_matrix(maps: Sequence[LinearMap], shape: Shape) -> tuple[sparse.csr_array, Array]:
    """Unrolled chain: (L, l) with vec(chain(x)) = L vec(x) + l.

    Raises:
        InputError: the chain looks rows of a table up.
    """
    if any(isinstance(step, Lookup) for step in maps):
        raise InputError(
            "a lookup of table rows is linear in the one-hot code of its ids, not in the ids: the model has "
            "no unrolled matrices; cut the network behind the lookup and give the rows as its inputs"
        )
    offset = apply_chain(maps, np.zeros((*shape, 1))).ravel()
    L = sparse.csr_array(sparse.eye_array(int(np.prod(shape))))
    for step in maps:
        L = sparse.csr_array(_matrix(step, shape) @ L)
        shape = step.out_shape(shape)
    return L, offset
