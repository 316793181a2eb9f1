"""Entries picked, repeated and summed along an axis."""

from math import prod

import numpy as np
from scipy import sparse

from sim_compress.activations import IDENTITY, Activation
from sim_compress.frontend.axes.rules import along, filling, gathering, scattering
from sim_compress.frontend.axes.rules.several_numbers import gather_nd
from sim_compress.frontend.registry import Activated, Call, RefusalError, operator, rewritten
from sim_compress.frontend.terms.broadcasting import broadcast, stretched
from sim_compress.frontend.terms.expressions import finite, mapped, picked
from sim_compress.model import Affine, AlongAxis, Lookup, Reshape

# The matrix of a running sum has n^2 / 2 nonzeros.
LONGEST_RUNNING_SUM = 4096


@operator(
    "Gather",
    gathering.gather,
    becomes="a slice, or entries picked; rows of a learned table: a state block with a lookup",
    limits="constant indices, not along the batch axis; or a constant table, along its first axis",
)
def gather(call: Call) -> Affine | Activated:
    if call.is_constant(0):
        return _looked_up(call)
    indices = call.constant(1)
    x = call.unweighted(0)
    axis = call.attribute("axis")
    places = indices.ravel() % x.shape[axis]
    shape = (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])
    return mapped(picked(x, axis, places), Reshape(shape))


def _looked_up(call: Call) -> Activated:
    """Table rows at computed ids; a block of its own, so that the table is held once."""
    table, ids = call.constant(0), call.single(1)
    if table.ndim < 1 or call.attribute("axis") != 0:
        raise RefusalError(
            f"looks up along axis {call.attribute('axis')} of a table {table.shape}, not the first"
        )
    rows = mapped(ids, Lookup(finite(table).reshape(len(table), -1)))
    return Activated(mapped(rows, Reshape((*ids.shape, *table.shape[1:]))), Activation(IDENTITY))


@operator(
    "GatherElements",
    gathering.gather_elements,
    becomes="entries picked; of a constant list: a state block with a lookup",
    limits="constant indices, or a constant list of one axis",
)
def gather_elements(call: Call) -> Affine | Activated:
    axis = call.attribute("axis")
    if call.is_constant(0):
        table, ids = call.constant(0), call.single(1)
        if table.ndim != 1:
            raise RefusalError(f"looks up entries of a constant {table.shape}, which is no list")
        rows = mapped(ids, Lookup(finite(table).reshape(-1, 1)))
        return Activated(mapped(rows, Reshape(ids.shape)), Activation(IDENTITY))
    x, indices = call.unweighted(0), call.constant(1) % call.unweighted(0).shape[axis]
    flat = np.arange(prod(x.shape)).reshape(x.shape)
    places = np.take_along_axis(flat, indices, axis)
    picked_ = picked(mapped(x, Reshape((prod(x.shape),))), 0, places.ravel())
    return mapped(picked_, Reshape(indices.shape))


rewritten(
    "GatherND",
    gather_nd,
    "picking",
    becomes="entries picked",
    limits="constant indices beside the sample's own number or its axis; one that data decide",
)


for _name, _rule in {
    "ScatterElements": scattering.scatter_elements,
    "ScatterND": scattering.scatter_nd,
}.items():
    rewritten(
        _name,
        _rule,
        "picking",
        becomes="entries of both inputs picked",
        limits="constant places, not of the batch axis; written over, not added",
    )


@operator("Compress", gathering.compress, becomes="a slice, or entries picked", limits="constant condition")
def compress(call: Call) -> Affine:
    x = call.unweighted(0)
    return picked(x, call.attribute("axis"), np.flatnonzero(call.constant(1)))


@operator("Expand", filling.expand, becomes="entries repeated", limits="a shape that data do not decide")
def expand(call: Call) -> Affine:
    x, target = call.unweighted(0), tuple(call.constant(1).tolist())
    return stretched(x, broadcast([x.shape, target]))


@operator("Tile", filling.tile, becomes="entries repeated", limits="constant repeats; not of the batch axis")
def tile(call: Call) -> Affine:
    x = call.unweighted(0)
    for axis, count in enumerate(call.constant(1).tolist()):
        x = picked(x, axis, np.tile(np.arange(x.shape[axis]), count))
    return x


@operator(
    "CumSum",
    along.running_sum,
    becomes="a matrix of ones and zeros along an axis",
    limits=f"constant axis of at most {LONGEST_RUNNING_SUM}, not the batch axis",
)
def cumulative_sum(call: Call) -> Affine:
    x = call.unweighted(0)
    axis = int(call.constant(1).item())
    size = x.shape[axis]
    if size > LONGEST_RUNNING_SUM:
        raise RefusalError(f"sums along an axis of {size}; at most {LONGEST_RUNNING_SUM} is supported")
    ones = np.tri(size, k=-1 if call.attribute("exclusive", 0) else 0, dtype=np.float32)
    ones = ones[::-1, ::-1] if call.attribute("reverse", 0) else ones
    return mapped(x, AlongAxis(axis, sparse.csr_array(ones)))


rewritten(
    "OneHot",
    filling.one_hot,
    "picking",
    becomes="comparisons with every place",
    limits="constant depth and values",
)
