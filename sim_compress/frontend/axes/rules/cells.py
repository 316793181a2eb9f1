"""What LSTM, GRU and RNN compute at one step, as plain nodes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from sim_compress.frontend.axes.rules.contraction import Nodes
from sim_compress.frontend.axes.step import Step
from sim_compress.frontend.refusal import RefusalError
from sim_compress.model.maps import Array

# A tensor of the graph, a constant, or None for zeros.
State: TypeAlias = str | Array | None
States: TypeAlias = tuple[State, ...]
Advance: TypeAlias = Callable[[int, States], tuple[str, ...]]

NO_BIAS = np.zeros(1, np.float32)
# Activation -> operator, and the defaults of its settings, which are taken in this order.
ACTIVATIONS: Mapping[str, tuple[str, Mapping[str, float]]] = MappingProxyType(
    {
        "sigmoid": ("Sigmoid", {}),
        "tanh": ("Tanh", {}),
        "relu": ("Relu", {}),
        "softsign": ("Softsign", {}),
        "softplus": ("Softplus", {}),
        "hardsigmoid": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
        "elu": ("Elu", {"alpha": 1.0}),
        "leakyrelu": ("LeakyRelu", {"alpha": 0.01}),
        "thresholdedrelu": ("ThresholdedRelu", {"alpha": 1.0}),
    }
)


@dataclass(frozen=True)
class Function:
    """The activation of some gates: an operator and its settings."""

    operator: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Weights:
    """Those of one direction, H rows for each gate.

    Attributes:
        inputs: (gates H, features). states: (gates H, H). input_bias, state_bias: (gates H,).
        functions: of the gates, in the order of the operator.
    """

    inputs: Array
    states: Array
    input_bias: Array
    state_bias: Array
    functions: tuple[Function, ...]

    def rows(self, first: int, count: int) -> slice:
        """The rows of some gates."""
        return slice(first * self.states.shape[1], (first + count) * self.states.shape[1])


def functions(step: Step, defaults: tuple[str, ...], directions: int) -> list[tuple[Function, ...]]:
    """The activations of each direction.

    Raises:
        RefusalError: there is no operator for one.
    """
    names = [n.lower() for n in step.attribute("activations") or defaults * directions]
    given = {key: iter(step.attribute(f"activation_{key}") or ()) for key in ("alpha", "beta")}
    found = []
    for name in names:
        if name not in ACTIVATIONS:
            raise RefusalError(f"has the activation {name!r}; {', '.join(ACTIVATIONS)} are supported")
        operator, settings = ACTIVATIONS[name]
        found.append(Function(operator, {k: next(given[k], v) for k, v in settings.items()}))
    size = len(defaults)
    return [tuple(found[i * size : (i + 1) * size]) for i in range(directions)]


@dataclass(frozen=True, eq=False)
class Gates:
    """Gates that one activation follows.

    Attributes:
        inputs: tensor (steps, ..., rows) of what comes from the inputs, biases with it.
        states: (H, rows) weights of the states before. stored: their name in the graph.
    """

    nodes: Nodes
    inputs: str
    states: Array
    stored: str
    function: Function

    @classmethod
    def of(
        cls, nodes: Nodes, x: str, own: Weights, place: tuple[int, int], function: int, bias: Array
    ) -> "Gates":
        """Gates by their place (the first, and how many), with the product of all inputs."""
        rows = own.rows(*place)
        weights = [np.ascontiguousarray(w[rows].T) for w in (own.inputs, own.states)]
        product = nodes.part("MatMul", [x, nodes.constant(weights[0])])
        inputs = nodes.add("Add", [product, nodes.constant(bias[rows])]) if bias[rows].any() else product
        return cls(nodes, inputs, weights[1], nodes.constant(weights[1]), own.functions[function])

    def from_state(self, state: State, bias: Array) -> str | None:
        """What comes from the states before, and a bias behind that."""
        if isinstance(state, str):
            product = self.nodes.part("MatMul", [state, self.stored])
            return self.nodes.add("Add", [product, self.nodes.constant(bias)]) if bias.any() else product
        values = bias if state is None else state @ self.states + bias
        return self.nodes.constant(values) if values.any() else None

    def at(self, number: int, added: str | None) -> str:
        """The activation of a step's inputs and something beside."""
        shift = self.nodes.writer.shift
        total = self.nodes.add("Gather", [self.inputs, self.nodes.constant(np.array(number))], axis=shift)
        if added is not None:
            total = self.nodes.add("Add", [total, added])
        return activated(self.nodes, self.function, total)

    def __call__(self, number: int, state: State) -> str:
        return self.at(number, self.from_state(state, NO_BIAS))


def activated(nodes: Nodes, function: Function, tensor: str) -> str:
    return nodes.add(function.operator, [tensor], **function.settings)


def _parts(nodes: Nodes, tensor: str, count: int, own: Weights, last: int) -> Iterator[str]:
    """Gates that stand side by side along the last axis."""
    for i in range(count):
        places = nodes.constant(np.arange(own.rows(i, 1).start, own.rows(i, 1).stop))
        yield nodes.add("Gather", [tensor, places], axis=last)


def _named(nodes: Nodes, state: str | Array) -> str:
    return state if isinstance(state, str) else nodes.constant(state)


def lstm(nodes: Nodes, x: str, own: Weights, last: int) -> Advance:
    """States h and c; gates input, output, forget and cell."""
    bias = own.input_bias + own.state_bias
    three = Gates.of(nodes, x, own, (0, 3), 0, bias)
    cell = Gates.of(nodes, x, own, (3, 1), 1, bias)

    def advance(number: int, states: States) -> tuple[str, ...]:
        h, c = states
        enters, leaves, stays = _parts(nodes, three(number, h), 3, own, last)
        new = nodes.add("Mul", [enters, cell(number, h)])
        if c is not None:
            new = nodes.add("Add", [new, nodes.add("Mul", [stays, _named(nodes, c)])])
        return nodes.add("Mul", [leaves, activated(nodes, own.functions[2], new)]), new

    return advance


def gru(nodes: Nodes, x: str, own: Weights, last: int) -> Advance:
    """State h; gates update, reset and candidate, where the reset comes before or behind the weights."""
    resets_behind = bool(nodes.step.attribute("linear_before_reset", 0))
    bias = own.input_bias + own.state_bias
    two = Gates.of(nodes, x, own, (0, 2), 0, bias)
    inner = own.input_bias if resets_behind else bias
    candidate = Gates.of(nodes, x, own, (2, 1), 1, inner)
    behind = own.state_bias[own.rows(2, 1)]

    def advance(number: int, states: States) -> tuple[str, ...]:
        (h,) = states
        update, reset = _parts(nodes, two(number, h), 2, own, last)
        if resets_behind:
            part = candidate.from_state(h, behind)
            new = candidate.at(number, part and nodes.add("Mul", [reset, part]))
        else:
            new = candidate(number, None if h is None else nodes.add("Mul", [reset, _named(nodes, h)]))
        if h is None:
            return (nodes.add("Sub", [new, nodes.add("Mul", [update, new])]),)
        moved = nodes.add("Mul", [update, nodes.add("Sub", [_named(nodes, h), new])])
        return (nodes.add("Add", [new, moved]),)

    return advance


def rnn(nodes: Nodes, x: str, own: Weights, _: int) -> Advance:
    """State h; one gate."""
    gate = Gates.of(nodes, x, own, (0, 1), 0, own.input_bias + own.state_bias)

    def advance(number: int, states: States) -> tuple[str, ...]:
        return (gate(number, states[0]),)

    return advance
