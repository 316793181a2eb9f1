"""Fixed maps as standard nodes, one exporter for each name in MAPS."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from math import prod
from typing import Any

import numpy as np
import onnx

from sim_compress.export.graph import Graph, moved_axis, reduced, reshaped
from sim_compress.model import (
    AlongAxis,
    LinearMap,
    Lookup,
    Offset,
    Pad,
    Patches,
    Reshape,
    Scale,
    Shape,
    Slice,
    Sum,
    Transpose,
)

# A Slice that runs backwards to the first entry ends before it.
BEFORE_THE_FIRST = -(2**31)
# The operator set in which AveragePool has dilations.
DILATED_AVERAGES = 19


def chain(graph: Graph, tensor: str, maps: Sequence[LinearMap], shape: Shape) -> str:
    """Nodes for a chain of maps on a tensor (N, *shape)."""
    # Of reshapes in a row the last one alone counts.
    left = [
        step
        for step, behind in zip_longest(maps, maps[1:])
        if not (isinstance(step, Reshape) and isinstance(behind, Reshape))
    ]
    while left:
        count, tensor = _averaged(graph, tensor, left, shape)
        if not count:
            count, tensor = 1, _single(graph, tensor, left, shape)
        for step in left[:count]:
            shape = step.out_shape(shape)
        del left[:count]
    return tensor


def _single(graph: Graph, tensor: str, left: Sequence[LinearMap], shape: Shape) -> str:
    """The first map, unless it changes nothing."""
    step = left[0]
    out = step.out_shape(shape)
    if isinstance(step, Reshape) and out == shape:
        return tensor
    return MAP_NODES[type(step).__name__.lower()](graph, tensor, step, shape)


def _averaged(graph: Graph, tensor: str, maps: Sequence[LinearMap], shape: Shape) -> tuple[int, str]:
    """An average over windows or axes as one node where the chain begins with one: (maps used, tensor)."""
    match maps:
        case [Patches() as p, Reshape(shape=(_, size, *_)), Sum(axes=(1,)), Scale() as s, *_] if size == prod(
            p.kernel
        ) and _poolable(p, graph.opset):
            mean = graph.node(
                "AveragePool",
                [tensor],
                kernel_shape=p.kernel,
                strides=p.strides,
                dilations=p.dilations if set(p.dilations) != {1} else None,
                pads=[*p.before, *p.after],
                count_include_pad=1,
            )
            factor = s.factor.astype(np.float64) * size
            return 4, mean if _is(factor, 1.0) else _mul(graph, mean, factor)
        case [Sum(axes=axes), Scale() as s, *_] if _is(s.factor * prod(shape[a] for a in axes), 1.0):
            return 2, reduced(graph, "ReduceMean", tensor, [a + 1 for a in axes])
    return 0, tensor


def _is(values: np.ndarray, number: float) -> bool:
    """Whether all values are the number, but for rounding in float32."""
    return bool(np.abs(values - number).max(initial=0.0) <= np.finfo(np.float32).eps)


def _poolable(p: Patches, opset: int) -> bool:
    """Whether AveragePool takes the windows: 1-d to 3-d, no padding as wide as the kernel, its dilations."""
    known = opset >= DILATED_AVERAGES or set(p.dilations) == {1}
    return (
        known
        and len(p.kernel) <= 3
        and all(max(b, a) < k for k, b, a in zip(p.kernel, p.before, p.after, strict=True))
    )


def _reshape(graph: Graph, tensor: str, step: Reshape, _: Shape) -> str:
    return reshaped(graph, tensor, step.shape)


def _transpose(graph: Graph, tensor: str, step: Transpose, _: Shape) -> str:
    return graph.node("Transpose", [tensor], perm=[0, *(a + 1 for a in step.axes)])


def _slice(graph: Graph, tensor: str, step: Slice, shape: Shape) -> str:
    windows = list(zip(step.starts, step.counts, step.steps, strict=True))
    axes = [a for a, w in enumerate(windows) if w != (0, shape[a], 1)]
    if not axes:
        return tensor
    ends = [windows[a][0] + windows[a][1] * windows[a][2] for a in axes]
    return graph.node(
        "Slice",
        [
            tensor,
            graph.integers([windows[a][0] for a in axes], "starts"),
            graph.integers([e if e >= 0 else BEFORE_THE_FIRST for e in ends], "ends"),
            graph.integers([a + 1 for a in axes], "axes"),
            graph.integers([windows[a][2] for a in axes], "steps"),
        ],
    )


def _pad(graph: Graph, tensor: str, step: Pad, _: Shape) -> str:
    if not any(step.before) and not any(step.after):
        return tensor
    return graph.node("Pad", [tensor, graph.integers([0, *step.before, 0, *step.after], "pads")])


def _patches(graph: Graph, tensor: str, step: Patches, shape: Shape) -> str:
    """A depthwise convolution that copies: channel c, place j of the kernel -> channel c * size + j."""
    size = prod(step.kernel)
    copies = np.tile(np.eye(size).reshape(size, 1, *step.kernel), (shape[0], *(1,) * (len(shape))))
    return graph.node(
        "Conv",
        [tensor, graph.reals(copies, "patches")],
        kernel_shape=step.kernel,
        strides=step.strides,
        dilations=step.dilations,
        pads=[*step.before, *step.after],
        group=shape[0],
    )


def _sum(graph: Graph, tensor: str, step: Sum, _: Shape) -> str:
    return reduced(graph, "ReduceSum", tensor, [a + 1 for a in step.axes])


def _scale(graph: Graph, tensor: str, step: Scale, _: Shape) -> str:
    return _mul(graph, tensor, step.factor)


def _mul(graph: Graph, tensor: str, factor: np.ndarray) -> str:
    return graph.node("Mul", [tensor, graph.reals(factor, "factor")])


def _offset(graph: Graph, tensor: str, step: Offset, _: Shape) -> str:
    return graph.node("Add", [tensor, graph.reals(step.offset, "offset")])


def _along_axis(graph: Graph, tensor: str, step: AlongAxis, shape: Shape) -> str:
    axis, rank = step.axis, len(shape)
    if step.picks is not None:
        # An entry behind the last one is the zero that some indices ask for.
        beyond = shape[axis]
        if (step.picks < 0).any():
            tensor = graph.node("Pad", [tensor, _one_behind(graph, axis, rank)])
        places = graph.integers(np.where(step.picks < 0, beyond, step.picks), "places")
        return graph.node("Gather", [tensor, places], axis=axis + 1)
    matrix = step.matrix.toarray()
    if axis == rank - 2:
        return graph.node("MatMul", [graph.reals(matrix, "matrix"), tensor])
    last = moved_axis(graph, tensor, rank, axis, rank - 1)
    product = graph.node("MatMul", [last, graph.reals(matrix.T, "matrix")])
    return moved_axis(graph, product, rank, rank - 1, axis)


def _lookup(graph: Graph, tensor: str, step: Lookup, _: Shape) -> str:
    whole = graph.node("Cast", [tensor], to=onnx.TensorProto.INT64)
    table = graph.shared(step.dense_rows(), "table", step.table)
    return graph.node("Gather", [table, whole], axis=0)


def _one_behind(graph: Graph, axis: int, rank: int) -> str:
    """Padding of one zero behind a feature axis."""
    pads = [0] * (2 * rank + 2)
    pads[rank + 1 + axis + 1] = 1
    return graph.integers(pads, "pads")


MAP_NODES: dict[str, Callable[[Graph, str, Any, Shape], str]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "pad": _pad,
    "patches": _patches,
    "sum": _sum,
    "scale": _scale,
    "offset": _offset,
    "alongaxis": _along_axis,
    "lookup": _lookup,
}
