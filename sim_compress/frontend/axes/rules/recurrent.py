"""LSTM, GRU and RNN unrolled: step by step, where the products with the states before share their rows.

    X (T, N, E)     X W' + b                      one product for all steps
                    step t: f(it[t] + h R')       R is one set of rows, used in every step

Steps that run backwards go through the same inputs from their end. Where data give lengths, a sequence keeps
the states of its last step, and its outputs behind that are zeros.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim_compress.frontend.axes.alignment import divided_constant
from sim_compress.frontend.axes.placed import Placed
from sim_compress.frontend.axes.rules.cells import Advance, State, States, Weights, functions, gru, lstm, rnn
from sim_compress.frontend.axes.rules.contraction import Nodes
from sim_compress.frontend.axes.step import Outcome, Step
from sim_compress.frontend.axes.writer import Writer
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model import Shape
from sim_compress.model.maps import Array

# A direction's step has some six state blocks: a network of 12,000 of them takes a minute to load.
MOST_STEPS = 1024
LENGTHS = 4
FIRST_STATES = 5
PEEPHOLES = 7
# Settings that no exporter of today's frameworks writes, and what they are without effect.
PLAIN = {"clip": None, "input_forget": 0, "layout": 0}


@dataclass(frozen=True)
class Kind:
    """A recurrent operator.

    Attributes:
        functions: the activations of a direction unless the node has others.
        states: that go from step to step.
        cell: writes what a step computes, given the inputs, the weights and the axis of a step's features.
    """

    functions: tuple[str, ...]
    states: int
    cell: Callable[[Nodes, str, Weights, int], Advance]


KINDS = {
    "LSTM": Kind(("Sigmoid", "Tanh", "Tanh"), 2, lstm),
    "GRU": Kind(("Sigmoid", "Tanh"), 1, gru),
    "RNN": Kind(("Tanh",), 1, rnn),
}


def recurrent(step: Step) -> Outcome:
    """The samples stand in the second axis of inputs and states."""
    kind, x = KINDS[step.node.op_type], step.input(0)
    _check(step, x)
    directions = 2 if step.attribute("direction", "forward") == "bidirectional" else 1
    own = _weights(step, kind, directions)
    first = [_first(step, FIRST_STATES + i, x) for i in range(kind.states)]
    lengths = _lengths(step, x)
    steps, side, _ = x.shape
    hidden = own[0].states.shape[1]
    batch = None if x.batch is None else 1
    last = Placed((directions, side, hidden), batch, x.before)
    every = Placed((steps, directions, side, hidden), batch and 2, x.before)
    outputs = (every, *(last,) * kind.states)[: len(step.node.output)]

    def write(writer: Writer) -> None:
        unrolled = _Unrolled(Nodes(writer, step), x, kind, first, lengths)
        runs = [unrolled.run(weights, d) for d, weights in enumerate(own)]
        unrolled.write([outs for outs, _ in runs], [states for _, states in runs], outputs)

    return Outcome(outputs, write)


def _check(step: Step, x: Placed) -> None:
    for name, plain in PLAIN.items():
        if step.attribute(name, plain) != plain:
            raise RefusalError(f"has {name} = {step.attribute(name)}, which is not supported")
    peepholes = step.input(PEEPHOLES).value if step.has(PEEPHOLES) else np.zeros(1)
    if peepholes is None or peepholes.any():
        raise RefusalError("has peepholes, which are not supported")
    if x.is_known:
        raise RefusalError("its inputs are the same for all samples")
    if x.batch not in (None, 1):
        raise RefusalError(f"goes from step to step along axis {x.batch} of {x}, the batch axis")
    if x.shape[0] > MOST_STEPS:
        raise RefusalError(
            f"has {x.shape[0]} steps, at most {MOST_STEPS} are unrolled; give the network shorter inputs "
            "(--input-shape)"
        )


def _weights(step: Step, kind: Kind, directions: int) -> list[Weights]:
    inputs, states = (_constant(step, i) for i in (1, 2))
    size = states.shape[1]
    both = _constant(step, 3) if step.has(3) else np.zeros((directions, 2 * size), np.float32)
    found = functions(step, kind.functions, directions)
    return [
        Weights(inputs[d], states[d], both[d, :size], both[d, size:], found[d]) for d in range(directions)
    ]


def _constant(step: Step, position: int) -> Array:
    value = step.input(position).value if step.input(position).is_constant else None
    if value is None:
        raise RefusalError(f"its input {position}, a weight, is computed by the network")
    return value


def _first(step: Step, position: int, x: Placed) -> Placed | None:
    """The states that a node starts with; None for zeros."""
    if not step.has(position):
        return None
    own = step.input(position)
    if own.is_known:
        if not own.first_sample.any():
            return None
        fits = own.batch is not None or own.shape[1] == x.shape[1]
        return own if fits else divided_constant(own, 1, x.before, x.after, step.samples)
    if (own.batch, own.before, own.shape[1]) != (x.batch, x.before, x.shape[1]):
        raise RefusalError(f"its inputs have the batch axis in two places, {own} and {x}")
    return own


def _lengths(step: Step, x: Placed) -> Placed | None:
    """Steps of each sequence, None where all have every step."""
    if not step.has(LENGTHS):
        return None
    own = step.input(LENGTHS)
    if own.is_known:
        if (own.first_sample == x.shape[0]).all():
            return None
        raise RefusalError(f"has constant lengths of sequences, which are not its {x.shape[0]} steps")
    if own.shape != (x.shape[1],) or (own.batch is None) != (x.batch is None):
        raise RefusalError(f"has lengths of sequences {own} beside inputs {x}")
    return own


@dataclass(frozen=True, eq=False)
class _Unrolled:
    """The steps of one node in one form of the graph."""

    nodes: Nodes
    x: Placed
    kind: Kind
    first: list[Placed | None]
    lengths: Placed | None

    @property
    def lanes(self) -> Shape:
        """Sequences of one sample, an axis where there are several."""
        return self.x.sample_shape[1:-1]

    def run(self, own: Weights, direction: int) -> tuple[list[str], States]:
        """The first state at each step, in the order of the inputs, and the states in the end."""
        node, steps = self.nodes.step, range(self.x.shape[0])
        backwards = direction == 1 or node.attribute("direction", "forward") == "reverse"
        advance = self.kind.cell(self.nodes, node.node.input[0], own, self.nodes.writer.axis(len(self.lanes)))
        states: States = tuple(self._start(i, direction) for i in range(self.kind.states))
        zeros = np.zeros(own.states.shape[1], np.float32)
        outs = {}
        for number in reversed(steps) if backwards else steps:
            new: States = advance(number, states)
            goes_on = self._goes_on(number)
            states = tuple(
                self._chosen(goes_on, n, zeros if s is None else s) for n, s in zip(new, states, strict=True)
            )
            outs[number] = self._chosen(goes_on, new[0], zeros)
        return [outs[number] for number in steps], states

    def _start(self, position: int, direction: int) -> State:
        own = self.first[position]
        if own is None:
            return None
        if own.is_known:
            return own.sample_value[direction].reshape(*self.lanes, -1)
        name = self.nodes.step.node.input[FIRST_STATES + position]
        place = self.nodes.constant(np.array(direction))
        return self.nodes.add("Gather", [name, place], axis=self.nodes.writer.shift)

    def _goes_on(self, number: int) -> str | None:
        """Whether a sequence has a step of that number; None where all have."""
        if self.lengths is None:
            return None
        name = self.nodes.step.node.input[LENGTHS]
        column = self.nodes.reshaped(name, (*self.lanes, 1))
        return self.nodes.add("Greater", [column, self.nodes.constant(np.array([number], np.int32))])

    def _chosen(self, goes_on: str | None, new: State, old: str | Array) -> str:
        assert isinstance(new, str)
        if goes_on is None:
            return new
        return self.nodes.add(
            "Where", [goes_on, new, old if isinstance(old, str) else self.nodes.constant(old)]
        )

    def write(self, outs: list[list[str]], states: list[States], outputs: tuple[Placed, ...]) -> None:
        """The outputs: directions side by side at every step, and each state in the end."""
        names = self.nodes.step.node.output
        every = [name for together in zip(*outs, strict=True) for name in together]
        ends = [list(map(str, own)) for own in zip(*states, strict=True)]
        for name, parts, place in zip(names, [every, *ends], outputs, strict=False):
            if name:
                joined = self.nodes.add("Concat", parts, axis=self.nodes.writer.shift)
                self.nodes.writer.reshaped(joined, place.sample_shape, name)
