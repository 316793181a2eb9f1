"""What some tensors of a graph need: nodes, those inside of nodes counted, and constants."""

from collections.abc import Sequence

import onnx


def reads(node: onnx.NodeProto) -> set[str]:
    """The tensors that a node reads, those that a graph of its own takes from around it too."""
    names = set(node.input)
    for inner in (g for a in node.attribute for g in (a.g, *a.graphs)):
        made = {i.name for i in (*inner.input, *inner.initializer)}
        for one in inner.node:
            names |= reads(one) - made
            made |= set(one.output)
        names |= {o.name for o in inner.output} - made
    return names


def needed(model: onnx.ModelProto, outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
    """The part of a network that some of its tensors need, with these as its outputs; all inputs stay."""
    graph, names, kept = model.graph, {o.name for o in outputs}, []
    for node in reversed(graph.node):
        if names.intersection(node.output):
            kept.append(node)
            names |= reads(node)
    part = onnx.ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
    part.opset_import.extend(model.opset_import)
    part.graph.name = graph.name
    part.graph.node.extend(kept[::-1])
    part.graph.initializer.extend(i for i in graph.initializer if i.name in names)
    part.graph.input.extend(graph.input)
    part.graph.output.extend(outputs)
    part.graph.value_info.extend(v for v in graph.value_info if v.name in names)
    return part
