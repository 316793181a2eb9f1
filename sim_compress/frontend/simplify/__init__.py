"""Spellings of exporters, written as fewer or plainer nodes; each rule in a file of its own."""

from collections.abc import Callable

import onnx

from sim_compress.frontend.simplify.foreign import standard
from sim_compress.frontend.simplify.functions import expanded
from sim_compress.frontend.simplify.guards import guards
from sim_compress.frontend.simplify.infinities import infinities
from sim_compress.frontend.simplify.tails import without_tail
from sim_compress.frontend.weights import Weights

__all__ = ["expanded", "simplify", "standard", "without_tail"]

# A guard is written by the infinities that make it needed, so it goes first.
RULES: tuple[Callable[[onnx.GraphProto, int, Weights], None], ...] = (guards, infinities)


def simplify(graph: onnx.GraphProto, opset: int, weights: Weights) -> None:
    """Rewrite a graph in place.

    Args:
        graph: nodes in topological order.
        opset: version of the standard operator set.
        weights: those of its stubs.
    """
    for rule in RULES:
        rule(graph, opset, weights)
