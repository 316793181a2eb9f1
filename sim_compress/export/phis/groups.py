"""Phi of groups of pre-activations: pooling, reductions, normalisations."""

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from sim_compress.export.graph import Graph, real, reduced, reshaped
from sim_compress.model import Shape

# The operator set in which there is a LayerNormalization.
LAYER_NORM = 17

Attributes = Mapping[str, Any]
PhiNodes = Callable[[Graph, str, Attributes, Shape], str]


def _max_pool(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    pads = [*a["pads_begin"], *a["pads_end"]]
    # MaxPool takes no padding as wide as its kernel.
    if any(max(b, e) >= k for k, b, e in zip(a["kernel"], a["pads_begin"], a["pads_end"], strict=True)):
        around = [0, 0, *a["pads_begin"], 0, 0, *a["pads_end"]]
        z = graph.node("Pad", [z, graph.integers(around, "pads"), graph.reals(-np.inf, "outside")])
        pads = [0] * len(pads)
    return graph.node(
        "MaxPool",
        [z],
        kernel_shape=a["kernel"],
        strides=a["strides"],
        dilations=a["dilations"],
        pads=pads,
    )


def _reduction(operator: str) -> PhiNodes:
    def export(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
        return reduced(graph, operator, z, _axes(a))

    return export


def _axes(a: Attributes) -> list[int]:
    return [axis + 1 for axis in a["axes"]]


def _arg_max(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    return real(graph, graph.node("ArgMax", [z], axis=_axes(a)[0], keepdims=0))


def _along(operator: str) -> PhiNodes:
    """A node along one axis; several axes are merged into one for it, and split again."""

    def export(graph: Graph, z: str, a: Attributes, shape: Shape) -> str:
        axes = list(a["axes"])
        if len(axes) == 1:
            return graph.node(operator, [z], axis=axes[0] + 1)
        rest = [i for i in range(len(shape)) if i not in axes]
        order = [*rest, *axes]
        merged = (*(shape[i] for i in rest), prod(shape[i] for i in axes))
        flat = reshaped(graph, graph.node("Transpose", [z], perm=[0, *(i + 1 for i in order)]), merged)
        result = reshaped(
            graph, graph.node(operator, [flat], axis=len(rest) + 1), tuple(shape[i] for i in order)
        )
        return graph.node("Transpose", [result], perm=[0, *(int(i) + 1 for i in np.argsort(order))])

    return export


def _layer_norm(graph: Graph, z: str, a: Attributes, shape: Shape) -> str:
    axes = list(a["axes"])
    if graph.opset >= LAYER_NORM and axes == list(range(len(shape) - len(axes), len(shape))):
        ones = graph.reals(np.ones(shape[axes[0] :]), "scale")
        return graph.node("LayerNormalization", [z, ones], axis=axes[0] + 1, epsilon=a["epsilon"])
    centred = graph.node("Sub", [z, reduced(graph, "ReduceMean", z, _axes(a), keepdims=1)])
    return _over_root_mean_square(graph, centred, a)


def _rms_norm(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    return _over_root_mean_square(graph, z, a)


def _over_root_mean_square(graph: Graph, z: str, a: Attributes) -> str:
    mean = reduced(graph, "ReduceMean", graph.node("Mul", [z, z]), _axes(a), keepdims=1)
    shifted = graph.node("Add", [mean, graph.reals(a["epsilon"], "epsilon")])
    return graph.node("Div", [z, graph.node("Sqrt", [shifted])])


def _lp_norm(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    operator = "ReduceL1" if a["p"] == 1 else "ReduceL2"
    length = reduced(graph, operator, z, _axes(a), keepdims=1)
    # A group of zeros has no direction and stays as it is.
    empty = graph.node("Equal", [length, graph.reals(0, "zero")])
    length = graph.node("Where", [empty, graph.reals(1, "one"), length])
    return graph.node("Div", [z, graph.node("Max", [length, graph.reals(a["epsilon"], "epsilon")])])


def _lrn(graph: Graph, z: str, a: Attributes, shape: Shape) -> str:
    # LRN is defined behind a spatial axis.
    x = z if len(shape) > 1 else reshaped(graph, z, (*shape, 1))
    y = graph.node("LRN", [x], size=int(a["size"]), alpha=a["alpha"], beta=a["beta"], bias=a["bias"])
    return y if len(shape) > 1 else reshaped(graph, y, shape)


NODES: dict[str, PhiNodes] = {
    "max_pool": _max_pool,
    "reduce_max": _reduction("ReduceMax"),
    "reduce_min": _reduction("ReduceMin"),
    "reduce_l1": _reduction("ReduceL1"),
    "reduce_l2": _reduction("ReduceL2"),
    "reduce_sum_square": _reduction("ReduceSumSquare"),
    "reduce_log_sum": _reduction("ReduceLogSum"),
    "reduce_log_sum_exp": _reduction("ReduceLogSumExp"),
    "reduce_prod": _reduction("ReduceProd"),
    "arg_max": _arg_max,
    "softmax": _along("Softmax"),
    "log_softmax": _along("LogSoftmax"),
    "hardmax": _along("Hardmax"),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "lp_norm": _lp_norm,
    "lrn": _lrn,
}
