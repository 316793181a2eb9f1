"""Outputs go by the keys of what forward returns: `logits`, or `hidden.0` for a tuple in a dict."""

from collections.abc import Sequence
from typing import Any

import onnx
from torch.utils import _pytree as pytree

SEPARATOR = "."


def output_names(program: Any) -> list[str]:
    """Names of the tensors that forward returns, in order; empty where it returns them without keys."""
    spec = program.call_spec.out_spec
    returned = pytree.tree_unflatten(list(program.graph_signature.user_outputs), spec)
    leaves, _ = pytree.tree_flatten_with_path(returned)
    paths = [path for path, leaf in leaves if isinstance(leaf, str)]
    if not all(path and isinstance(path[0], pytree.MappingKey | pytree.GetAttrKey) for path in paths):
        return []
    return [SEPARATOR.join(_part(key) for key in path) for path in paths]


def _part(key: Any) -> str:
    if isinstance(key, pytree.SequenceKey):
        return str(key.idx)
    return str(key.name if isinstance(key, pytree.GetAttrKey) else key.key)


def renamed_outputs(graph: onnx.GraphProto, names: Sequence[str]) -> bool:
    """Rename a graph's outputs, in place; False, and nothing done, where the names are not free."""
    old = [o.name for o in graph.output]
    ends = {i.name for i in (*graph.input, *graph.initializer)}
    inner = {t for node in graph.node for t in node.output} - set(old)
    # What is handed on, an input or a constant, is an output by its own name.
    if len(names) != len(old) or ends & set(old) or (ends | inner) & set(names):
        return False
    to = dict(zip(old, names, strict=True))
    for node in graph.node:
        for tensors in (node.input, node.output):
            for i, tensor in enumerate(tensors):
                tensors[i] = to.get(tensor, tensor)
    for value in (*graph.output, *graph.value_info):
        value.name = to.get(value.name, value.name)
    return True
