"""Names of blocks: the node's own name where that is unique, else the tensor's."""

from collections import Counter

import onnx


def block_names(graph: onnx.GraphProto) -> dict[str, str]:
    """Tensor name -> name of the block whose state it holds; unique beside inputs and outputs too."""
    nodes = Counter(n.name for n in graph.node)
    ends = {o.name for o in graph.output}
    tensors = {i.name for i in graph.input} | {name for n in graph.node for name in n.output}
    names = {}
    for node in graph.node:
        own = {name for name in node.output if name}
        # Tensor names are unique already: a node name may only repeat its own output's.
        free = node.name and nodes[node.name] == 1 and node.name not in tensors - (own - ends)
        for tensor in own:
            fallback = f"{node.op_type}:{tensor}" if tensor in ends else tensor
            names[tensor] = node.name if free and len(own) == 1 else fallback
    return names
