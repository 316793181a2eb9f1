"""Ends of a graph that hold no parameters and cannot be read (non-maximum suppression, sorting): cut off.

What the network learned stands in front of them. The tensors that they read become the outputs.
"""

from collections.abc import Collection, Mapping
from math import prod

import onnx
from onnx import helper

from sim_compress.frontend.needed import needed, reads
from sim_compress.frontend.simplify.infinities import PARAMETRIC

# A constant of more entries is a parameter, whatever reads it.
LARGEST_SETTING = 16
_TYPES = onnx.TensorProto
# Sizes, places and conditions are no parameters; quantised weights are.
SETTINGS = frozenset({_TYPES.INT64, _TYPES.INT32, _TYPES.BOOL, _TYPES.STRING})


def without_tail(model: onnx.ModelProto, unread: Collection[str]) -> tuple[onnx.ModelProto, str] | None:
    """The graph without nodes that cannot be read and those behind them, and what was cut.

    None where they hold parameters.

    Args:
        model: nodes in topological order, with the types of its tensors.
        unread: first outputs of the nodes that cannot be read.
    """
    graph, inside = model.graph, set[str]()
    cut: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.output[0] in unread or inside & reads(node):
            inside |= set(node.output)
            cut.append(node)
    constants = {i.name: i for i in graph.initializer}
    computed = {name for n in graph.node for name in n.output}
    if not cut or any(_is_parametric(node, constants) for node in cut):
        return None
    read = dict.fromkeys(n for node in cut for n in sorted(reads(node)) if n in computed - inside)
    ends = [o.name for o in graph.output if o.name not in inside]
    outputs = [*ends, *(n for n in read if n not in ends)]
    if not outputs:
        return None
    known = {v.name: v for v in (*graph.value_info, *graph.output)}
    part = needed(model, [known.get(n) or helper.make_empty_tensor_value_info(n) for n in outputs])
    first = cut[0]
    note = (
        f"the network is cut before {first.op_type} {first.name or first.output[0]!r}: {len(cut)} nodes "
        f"without parameters cannot be read; its outputs are now {', '.join(outputs)}"
    )
    return part, note


def _is_parametric(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a node, or one in a graph of its own, reads parameters."""
    for inner in (g for a in node.attribute for g in (a.g, *a.graphs)):
        known = {**constants, **{i.name: i for i in inner.initializer}}
        if any(_is_parametric(n, known) for n in inner.node):
            return True
    own = [constants[n] for n in node.input if n in constants and constants[n].data_type not in SETTINGS]
    if node.op_type in PARAMETRIC:
        return bool(own)
    return any(prod(t.dims) > LARGEST_SETTING for t in own)
