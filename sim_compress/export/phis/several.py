"""Phi of several tensors, which lie one after the other in the pre-activation."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import Any

import onnx

from sim_compress.export.graph import Graph, real, reshaped
from sim_compress.model import Shape

Attributes = Mapping[str, Any]
PartsNodes = Callable[[Graph, Sequence[str], Attributes, Sequence[Shape]], str]


def parts_of(graph: Graph, z: str, parts: Sequence[Shape]) -> list[str]:
    """The parts (N, *part) of a flat pre-activation (N, size)."""
    sizes = [prod(part) for part in parts]
    slices = []
    for size, stop, part in zip(sizes, accumulate(sizes), parts, strict=True):
        bounds = [graph.integers([v], "bound") for v in (stop - size, stop, 1)]
        slices.append(reshaped(graph, graph.node("Slice", [z, *bounds]), part))
    return slices


def _aligned(graph: Graph, tensors: Sequence[str], parts: Sequence[Shape]) -> list[str]:
    """The tensors with axes of size 1 behind the samples, so that shorter ones broadcast."""
    rank = max(len(part) for part in parts)
    return [
        t if len(p) == rank else reshaped(graph, t, (*(1,) * (rank - len(p)), *p))
        for t, p in zip(tensors, parts, strict=True)
    ]


def _numbers(operator: str, **attributes: Any) -> PartsNodes:
    def export(graph: Graph, tensors: Sequence[str], _: Attributes, parts: Sequence[Shape]) -> str:
        return graph.node(operator, _aligned(graph, tensors, parts), **attributes)

    return export


def _comparison(operator: str) -> PartsNodes:
    def export(graph: Graph, tensors: Sequence[str], _: Attributes, parts: Sequence[Shape]) -> str:
        return real(graph, graph.node(operator, _aligned(graph, tensors, parts)))

    return export


def _logic(operator: str) -> PartsNodes:
    def export(graph: Graph, tensors: Sequence[str], _: Attributes, parts: Sequence[Shape]) -> str:
        return real(graph, graph.node(operator, [truth(graph, t) for t in _aligned(graph, tensors, parts)]))

    return export


def truth(graph: Graph, tensor: str) -> str:
    """Whether each number is other than 0."""
    return graph.node("Cast", [tensor], to=onnx.TensorProto.BOOL)


def _where(graph: Graph, tensors: Sequence[str], _: Attributes, parts: Sequence[Shape]) -> str:
    condition, chosen, other = _aligned(graph, tensors, parts)
    return graph.node("Where", [truth(graph, condition), chosen, other])


def _remainder(graph: Graph, tensors: Sequence[str], _: Attributes, parts: Sequence[Shape]) -> str:
    """Mod of floats follows the sign of the first number; this one follows the second's."""
    left, right = _aligned(graph, tensors, parts)
    whole = graph.node("Floor", [graph.node("Div", [left, right])])
    return graph.node("Sub", [left, graph.node("Mul", [whole, right])])


NODES: dict[str, PartsNodes] = {
    "matmul": _numbers("MatMul"),
    "product": _numbers("Mul"),
    "quotient": _numbers("Div"),
    "raised": _numbers("Pow"),
    "remainder": _remainder,
    "truncated_remainder": _numbers("Mod", fmod=1),
    "maximum": _numbers("Max"),
    "minimum": _numbers("Min"),
    "where": _where,
    "equal": _comparison("Equal"),
    "less": _comparison("Less"),
    "less_or_equal": _comparison("LessOrEqual"),
    "greater": _comparison("Greater"),
    "greater_or_equal": _comparison("GreaterOrEqual"),
    "and": _logic("And"),
    "or": _logic("Or"),
    "xor": _logic("Xor"),
}
