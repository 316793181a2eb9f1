"""Local functions of a file, counted before they are expanded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import onnx

from sim_compress.errors import UnsupportedError

# A language model of 48 layers has about 15,000 nodes. 20,000 of one operator load in 3 s on one core.
MOST_NODES = 20_000
MOST_BYTES = 2**31 - 1
# onnx expands no deeper ones.
DEEPEST = 100

Key = tuple[str, str]


class Expanded(NamedTuple):
    """What stands in the place of a call: how many nodes, of how many bytes, behind how many calls."""

    nodes: int
    bytes: int
    depth: int


def check_functions(model: onnx.ModelProto) -> None:
    """Refuse functions that call themselves, or that expand to more than a network can be.

    Raises:
        UnsupportedError: names the functions.
    """
    if not model.functions:
        return
    functions = {(f.domain, f.name): f for f in model.functions}
    calls = {key: [c for c in _operators(f.node) if c in functions] for key, f in functions.items()}
    try:
        order = list(TopologicalSorter(calls).static_order())
    except CycleError as error:
        cycle = " calls ".join(_name(key) for key in reversed(error.args[1]))
        raise UnsupportedError(
            f"a function of the file calls itself ({cycle}), so that it has no end; export the network "
            "without recursive functions"
        ) from error
    sizes: dict[Key, Expanded] = {}
    for key in order:
        sizes[key] = _expanded(functions[key].node, sizes)
    total = _expanded(model.graph.node, sizes)
    if total.depth > DEEPEST:
        raise UnsupportedError(
            f"functions of the file call each other {total.depth} deep, and {DEEPEST} are supported; export "
            "the network without functions (onnx.inliner)"
        )
    if total.nodes > MOST_NODES or total.bytes > MOST_BYTES:
        largest = max(sizes, key=lambda key: sizes[key])
        raise UnsupportedError(
            f"the functions of the file expand to {total.nodes:,} nodes of {total.bytes:,} bytes, "
            f"{sizes[largest].nodes:,} nodes for one call of {_name(largest)}; at most {MOST_NODES:,} nodes "
            f"and {MOST_BYTES:,} bytes are supported: export a smaller network"
        )


def _expanded(nodes: Iterable[onnx.NodeProto], sizes: Mapping[Key, Expanded]) -> Expanded:
    """Size of some nodes with every call replaced by what it calls."""
    parts = [
        sizes.get((node.domain, node.op_type), Expanded(1, node.ByteSize(), -1))
        for node in _with_inner(nodes)
    ]
    depth = 1 + max((p.depth for p in parts), default=-1)
    return Expanded(sum(p.nodes for p in parts), sum(p.bytes for p in parts), depth)


def _operators(nodes: Sequence[onnx.NodeProto]) -> set[Key]:
    return {(node.domain, node.op_type) for node in _with_inner(nodes)}


def _with_inner(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes and those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _with_inner(inner.node)


def _name(key: Key) -> str:
    return ".".join(part for part in key if part)
