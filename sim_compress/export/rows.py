"""Terms with parameters as Conv, Gemm or MatMul; weights are dense, zeros kept."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim_compress.export.concatenation import concatenated
from sim_compress.export.graph import Graph, moved_axis
from sim_compress.export.maps import chain
from sim_compress.model import Affine, LinearMap, Patches, Shape, Term, Transpose, chain_shape

Bias = NDArray[np.float32] | None


def preactivation(
    graph: Graph, affine: Affine, tensors: Mapping[str, str], shapes: Mapping[str, Shape]
) -> str:
    """The tensor z (N, *affine.shape) from those of its sources."""
    whole = concatenated(graph, affine, tensors, shapes)
    if whole is not None:
        return whole
    bias, parts = affine.bias, []
    for term in _kept(affine):
        x, shape = tensors[term.source], shapes[term.source]
        if term.weight is None:
            parts.append(chain(graph, x, term.maps, shape))
        else:
            part, bias = _weighted(graph, affine, term, x, shape, bias)
            parts.append(part)
    total = parts[0]
    for part in parts[1:]:
        total = graph.node("Add", [total, part])
    if bias is None or not bias.any():
        return total
    column = bias.reshape(-1, *(1,) * (len(affine.shape) - 1 - affine.row_axis))
    return graph.node("Add", [total, graph.shared(column, "bias", affine.bias)])


def _kept(affine: Affine) -> tuple[Term, ...]:
    """The terms that add something; one at least, for its shape."""
    return tuple(t for t in affine.terms if t.weight is None or t.weight.nnz) or affine.terms[:1]


def _weighted(
    graph: Graph, affine: Affine, term: Term, tensor: str, shape: Shape, bias: Bias
) -> tuple[str, Bias]:
    """One term, with the bias of the block where its node takes one: (tensor, bias that is left)."""
    before, last = term.maps[:-1], term.maps[-1] if term.maps else None
    if isinstance(last, Patches) and len(last.kernel) <= 3 and affine.row_axis == 0:
        x, shape = _applied(graph, tensor, before, shape)
        weight = _dense(term).reshape(affine.rows, shape[0] // term.groups, *last.kernel)
        inputs = [x, graph.shared(weight, "weight", term.weight)]
        if bias is not None:
            inputs.append(graph.shared(bias, "bias", affine.bias))
        return graph.node(
            "Conv",
            inputs,
            kernel_shape=last.kernel,
            strides=last.strides,
            dilations=last.dilations,
            pads=[*last.before, *last.after],
            group=term.groups,
        ), None
    axis = _front_axis(last)
    if axis is None or axis != affine.row_axis:
        axis, before = 0, term.maps
    x, shape = _applied(graph, tensor, before, shape)
    weight = _full(term)
    if len(shape) == 1:
        inputs = [x, graph.shared(weight, "weight", term.weight)]
        if bias is not None:
            inputs.append(graph.shared(bias, "bias", affine.bias))
        return graph.node("Gemm", inputs, transB=1), None
    product = _along(graph, x, shape, axis, weight, term.weight)
    return moved_axis(graph, product, len(shape), axis, affine.row_axis), bias


def _applied(graph: Graph, tensor: str, maps: Sequence[LinearMap], shape: Shape) -> tuple[str, Shape]:
    return chain(graph, tensor, maps, shape), chain_shape(maps, shape)


def _front_axis(step: LinearMap | None) -> int | None:
    """The axis that a transpose brings to the front, all others in order; None for any other map."""
    if not isinstance(step, Transpose):
        return None
    first, *rest = step.axes
    return first if rest == sorted(rest) else None


def _along(graph: Graph, x: str, shape: Shape, axis: int, weight: NDArray[np.float32], of: object) -> str:
    """weight (rows, k) on one axis of (N, *shape); the rows take its place."""
    if axis == len(shape) - 2:
        return graph.node("MatMul", [graph.shared(weight, "weight", of), x])
    last = moved_axis(graph, x, len(shape), axis, len(shape) - 1)
    product = graph.node("MatMul", [last, graph.shared(weight.T, "weight", of)])
    return moved_axis(graph, product, len(shape), len(shape) - 1, axis)


def _full(term: Term) -> NDArray[np.float32]:
    """The rows over all features."""
    assert term.weight is not None
    return term.weight.toarray().astype(np.float32, copy=False)


def _dense(term: Term) -> NDArray[np.float32]:
    """The rows over the features of their own group, (rows, features / groups)."""
    full = _full(term)
    rows, columns = full.shape
    by_group = full.reshape(term.groups, rows // term.groups, term.groups, columns // term.groups)
    own = np.arange(term.groups)
    return by_group[own, :, own].reshape(rows, columns // term.groups)
