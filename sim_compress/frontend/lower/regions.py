"""Regions of a graph: nodes that compute one tensor from one other and that nothing else reads."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx

# Operators that spelled-out functions are made of; each has one output.
COMPONENTWISE = frozenset(
    (
        "Abs", "Add", "Cast", "Clip", "Div", "Erf", "Exp", "HardSigmoid", "Log", "Max", "Min", "Mul",
        "Neg", "Pow", "Reciprocal", "Relu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh",
    )
)  # fmt: skip
GROUPED = frozenset(
    (
        "Expand", "ReduceL1", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare",
        "Reshape", "Squeeze", "Unsqueeze",
    )
)  # fmt: skip
# The longest known spelling, TensorFlow's layer normalisation, has 16.
LARGEST = 24


@dataclass(frozen=True, eq=False)
class Region:
    """Nodes in order; the last gives the result, the root is all they read beside constants."""

    root: str
    nodes: tuple[onnx.NodeProto, ...]
    constants: tuple[str, ...]

    @property
    def result(self) -> str:
        return self.nodes[-1].output[0]

    @property
    def operators(self) -> frozenset[str]:
        return frozenset(n.op_type for n in self.nodes)


class Regions:
    """Finds the regions of a graph whose nodes are in topological order."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._nodes = list(graph.node)
        self._constants = {i.name for i in graph.initializer}
        self._producer = {name: i for i, n in enumerate(self._nodes) for name in n.output}
        self._readers: dict[str, set[int]] = {}
        for i, node in enumerate(self._nodes):
            for name in node.input:
                self._readers.setdefault(name, set()).add(i)
        for output in graph.output:
            self._readers.setdefault(output.name, set()).add(-1)

    def ending_at(self, end: int) -> Iterator[Region]:
        """The regions whose last node has the given number, smallest first."""
        inside: set[int] = set()
        frontier = {self._nodes[end].output[0]}
        while len(inside) < LARGEST:
            # No other tensor of the frontier is computed from the one that comes last.
            number = max(self._producer.get(name, -1) for name in frontier)
            node = self._nodes[number]
            if number < 0 or node.op_type not in COMPONENTWISE | GROUPED:
                return
            inside.add(number)
            frontier = (frontier - {*node.output}) | {n for n in node.input if n and n not in self._constants}
            if not frontier:
                return
            if len(frontier) == 1 and len(inside) > 1 and self._closed(inside, end):
                yield self._region(next(iter(frontier)), inside)

    def _closed(self, inside: set[int], end: int) -> bool:
        """Whether nothing outside reads what is inside, the end's result excepted."""
        return all(
            self._readers.get(name, set()) <= inside
            for number in inside - {end}
            for name in self._nodes[number].output
        )

    def _region(self, root: str, inside: set[int]) -> Region:
        nodes = tuple(self._nodes[number] for number in sorted(inside))
        read = dict.fromkeys(name for node in nodes for name in node.input)
        return Region(root, nodes, tuple(name for name in read if name in self._constants))
