"""Nodes that run graphs of their own: the way of an If, the rounds of a Loop or a Scan take their place.

What decides it must be known: shapes and constants say it, and in a Loop the number of the round.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from sim_compress.frontend.axes.placed import Placed, Stored
from sim_compress.frontend.nodes import attribute
from sim_compress.frontend.refusal import RefusalError
from sim_compress.frontend.weights import Weights

# As many as steps of a recurrent operator.
MOST_ROUNDS = 1024


class UndecidedError(RefusalError):
    """Data decide which graph runs, or how often."""


@dataclass(frozen=True, eq=False)
class Inside:
    """A node that runs graphs, and the pass that it stands in.

    Attributes:
        tensors: of the pass, by name. visit: places one more node. weights: of stubs.
    """

    node: onnx.NodeProto
    tensors: dict[str, Placed]
    visit: Callable[[onnx.NodeProto], None]
    weights: Weights

    def branch(self) -> None:
        """The nodes of an If's way.

        Raises:
            UndecidedError: data decide it.
        """
        body = attribute(self.node, "then_branch" if self._is_true(self.node.input[0]) else "else_branch")
        self._results(self._run(body, {}, ""))

    def loop(self) -> None:
        """The rounds of a Loop, one after the other.

        Raises:
            UndecidedError: data decide how many there are.
            RefusalError: there are too many.
        """
        body, (most, goes_on, *carried) = attribute(self.node, "body"), self.node.input
        limit = self._count(most) if most else None
        number, condition, *states = (i.name for i in body.input)
        rows: list[list[str]] = []
        while (limit is None or len(rows) < limit) and (not goes_on or self._is_true(goes_on)):
            self._check(len(rows))
            first = self._known(f"round{len(rows)}", np.array(len(rows)))
            always = self._known("goes_on", np.array(True))
            given = {number: first, condition: always, **dict(zip(states, carried, strict=True))}
            goes_on, *results = self._run(body, given, f"{len(rows)}:")
            carried = results[: len(carried)]
            rows.append(results[len(carried) :])
        if not rows and len(self.node.output) > len(carried):
            raise RefusalError("runs no round, and gives the results of all of them")
        self._results([*carried, *(self._stacked(own, 0) for own in zip(*rows, strict=True))])

    def scan(self) -> None:
        """The rounds of a Scan, one for each entry along the axes that it goes through.

        Raises:
            RefusalError: it goes backwards into its outputs, or along the batch axis.
        """
        body, count = attribute(self.node, "body"), attribute(self.node, "num_scan_inputs")
        names = list(self.node.input)
        carried, scanned = names[: len(names) - count], names[len(names) - count :]
        axes = attribute(self.node, "scan_input_axes") or [0] * count
        turned = attribute(self.node, "scan_input_directions") or [0] * count
        if any(attribute(self.node, "scan_output_directions") or []):
            raise RefusalError("writes its outputs from the end, which is not supported")
        rounds = self.tensors[scanned[0]].shape[axes[0]]
        if any(self.tensors[n].batch == a for n, a in zip(scanned, axes, strict=True)):
            raise RefusalError("goes from entry to entry of the batch axis")
        self._check(rounds - 1)
        rows: list[list[str]] = []
        for i in range(rounds):
            entries = [
                self._entry(name, axis, rounds - 1 - i if back else i)
                for name, axis, back in zip(scanned, axes, turned, strict=True)
            ]
            given = dict(zip((v.name for v in body.input), [*carried, *entries], strict=True))
            results = self._run(body, given, f"{i}:")
            carried = results[: len(carried)]
            rows.append(results[len(carried) :])
        ends = attribute(self.node, "scan_output_axes") or [0] * len(rows[0])
        stacked = [self._stacked(own, axis) for own, axis in zip(zip(*rows, strict=True), ends, strict=True)]
        self._results([*carried, *stacked])

    def _check(self, rounds: int) -> None:
        if rounds >= MOST_ROUNDS:
            raise RefusalError(f"runs more than {MOST_ROUNDS} rounds; give the network shorter inputs")

    def _is_true(self, name: str) -> bool:
        found = self.tensors.get(name)
        if found is None or not found.is_constant or found.value is None:
            raise UndecidedError
        return bool(found.value.any())

    def _count(self, name: str) -> int:
        found = self.tensors[name]
        if not found.is_constant or found.value is None:
            raise UndecidedError
        return int(found.value.item())

    def _name(self, name: str) -> str:
        return f"{next(filter(None, self.node.output))}:{name}"

    def _known(self, name: str, value: np.ndarray) -> str:
        self.tensors[self._name(name)] = Placed(value.shape, numbers=value)
        return self._name(name)

    def _add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        self.visit(helper.make_node(kind, list(inputs), [self._name(name)], "", **attributes))
        return self._name(name)

    def _entry(self, name: str, axis: int, number: int) -> str:
        place = self._known(f"entry{number}", np.array(number))
        return self._add("Gather", [name, place], f"{name}:{axis}:{number}", axis=axis)

    def _stacked(self, names: Sequence[str], axis: int) -> str:
        """The results of all rounds side by side along a new axis."""
        columns = [self._add("Unsqueeze", [n], f"{n}:column", axes=[axis]) for n in names]
        return self._add("Concat", columns, f"{names[0]}:all", axis=axis)

    def _run(self, body: onnx.GraphProto, given: Mapping[str, str], prefix: str) -> list[str]:
        """Place the nodes of a graph under names of their own; gives those of its outputs."""
        names = dict(given)
        for stored in body.initializer:
            own = onnx.TensorProto()
            own.CopyFrom(stored)
            own.name = names[stored.name] = self._name(stored.name)
            self.tensors[own.name] = Placed(tuple(own.dims), stored=Stored(own, self.weights))
        made = {name: self._name(prefix + name) for n in body.node for name in n.output if name}
        for node in body.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = node.name and self._name(prefix + node.name)
            _rename(copy, names | made)
            self.visit(copy)
        return [(names | made).get(o.name, o.name) for o in body.output]

    def _results(self, names: Sequence[str]) -> None:
        for name, output in zip(names, self.node.output, strict=False):
            if output:
                self.visit(helper.make_node("Identity", [name], [output]))


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Other names for tensors, in the graphs inside a node too as far as these have none of the same name."""
    for tensors in (node.input, node.output):
        renamed = [names.get(n, n) for n in tensors]
        del tensors[:]
        tensors.extend(renamed)
    for graph in (a.g for a in node.attribute if a.HasField("g")):
        own = {i.name for i in (*graph.input, *graph.initializer)}
        own |= {name for n in graph.node for name in n.output}
        left = {old: new for old, new in names.items() if old not in own}
        for inner in graph.node:
            _rename(inner, left)
        for output in graph.output:
            output.name = left.get(output.name, output.name)
