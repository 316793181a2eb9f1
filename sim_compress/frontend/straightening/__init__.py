"""Graphs that move the batch axis, or merge it with a feature axis, written anew with the batch first.

Exporters transpose heads before samples and cut them apart, unroll time before samples, and merge steps and
samples where a layer is shared by all steps. Each such stretch of a graph ends with the batch first again;
between its ends the axes of its nodes are renumbered, and merged axes stay apart.
"""

import onnx

from sim_compress.frontend.straightening.axes import STRAIGHT, CrookedError
from sim_compress.frontend.straightening.rules import RULES
from sim_compress.frontend.straightening.stretch import Stretch

__all__ = ["straighten"]

# Nodes that may move or merge the batch axis.
STARTS = ("Transpose", "Reshape", "Unsqueeze")


def straighten(model: onnx.ModelProto) -> bool:
    """Write a graph anew with the batch first in every tensor; whether anything had to change.

    Its activations have their shapes in the graph, the batch as a symbol. A graph of which a stretch cannot
    be written anew stays as it is.
    """
    work = Stretch(model)
    try:
        nodes = [new for node in model.graph.node for new in _rewritten(work, node)]
    except CrookedError:
        return False
    if not work.moved or any(o.name in work.layouts for o in model.graph.output):
        return False
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(work.constants_made)
    return True


def _rewritten(work: Stretch, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """The nodes that compute the same with the batch first.

    Raises:
        CrookedError: there are none that are known.
    """
    crooked = [work.layouts[n] for n in node.input if n in work.layouts]
    if not crooked and node.op_type not in STARTS:
        return [node]
    rule = RULES.get(node.op_type)
    if rule is None or len(set(crooked)) > 1:
        raise CrookedError
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    nodes, layout = rule(work, copy, crooked[0] if crooked else STRAIGHT)
    if layout != STRAIGHT:
        work.layouts |= dict.fromkeys(node.output, layout)
        work.moved = True
    return nodes
