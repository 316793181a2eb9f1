"""Phi of single pre-activations."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sim_compress.export.graph import Graph, real
from sim_compress.model import Shape

Attributes = Mapping[str, Any]
PhiNodes = Callable[[Graph, str, Attributes, Shape], str]


def _plain(operator: str, *names: str, **fixed: Any) -> PhiNodes:
    """One node of the same attributes: `name` or `name=onnx_name`."""
    pairs = [tuple(name.split("=")) if "=" in name else (name, name) for name in names]

    def export(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
        return graph.node(operator, [z], **fixed, **{theirs: a[ours] for ours, theirs in pairs})

    return export


def _identity(_graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    return z


def _clip(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    bounds = [graph.reals(a[key], key) if math.isfinite(a[key]) else "" for key in ("low", "high")]
    # An order of bounds that Clip leaves open: the higher one counts here.
    if a["low"] > a["high"]:
        return graph.node("Min", [graph.node("Max", [z, graph.reals(a["low"])]), graph.reals(a["high"])])
    return graph.node("Clip", [z, *bounds])


def _prelu(graph: Graph, z: str, a: Attributes, shape: Shape) -> str:
    slopes = np.broadcast_to(
        np.asarray(a["slopes"]), np.broadcast_shapes(np.shape(a["slopes"]), (1,) * len(shape))
    )
    return graph.node("PRelu", [z, graph.reals(slopes, "slopes")])


def _swish(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    inner = z if a["alpha"] == 1 else graph.node("Mul", [z, graph.reals(a["alpha"], "alpha")])
    return graph.node("Mul", [z, graph.node("Sigmoid", [inner])])


def _power(graph: Graph, z: str, a: Attributes, _: Shape) -> str:
    return graph.node("Pow", [z, graph.reals(a["exponent"], "exponent")])


def _square(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    return graph.node("Mul", [z, z])


def _truncate(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    size = graph.node("Floor", [graph.node("Abs", [z])])
    return graph.node("Mul", [graph.node("Sign", [z]), size])


def _nonzero(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    return real(graph, graph.node("Cast", [z], to=BOOL))


def _not(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    return real(graph, graph.node("Equal", [z, graph.reals(0, "zero")]))


def _since(opset: int, node: PhiNodes, composed: PhiNodes) -> PhiNodes:
    """A node that there is since an operator set, and what stands for it in older ones."""

    def export(graph: Graph, z: str, a: Attributes, shape: Shape) -> str:
        return (node if graph.opset >= opset else composed)(graph, z, a, shape)

    return export


def _half_of(graph: Graph, z: str, inner: str) -> str:
    """z (1 + inner) / 2."""
    shifted = graph.node("Add", [inner, graph.reals(1, "one")])
    return graph.node("Mul", [graph.node("Mul", [z, graph.reals(0.5, "half")]), shifted])


def _gelu(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    scaled = graph.node("Mul", [z, graph.reals(math.sqrt(0.5), "scale")])
    return _half_of(graph, z, graph.node("Erf", [scaled]))


def _gelu_tanh(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    cube = graph.node("Mul", [graph.node("Mul", [z, z]), z])
    bent = graph.node("Add", [z, graph.node("Mul", [cube, graph.reals(0.044715, "cubic")])])
    scaled = graph.node("Mul", [bent, graph.reals(math.sqrt(2 / math.pi), "scale")])
    return _half_of(graph, z, graph.node("Tanh", [scaled]))


def _mish(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    return graph.node("Mul", [z, graph.node("Tanh", [graph.node("Softplus", [z])])])


def _hard_swish(graph: Graph, z: str, _a: Attributes, _shape: Shape) -> str:
    return graph.node("Mul", [z, graph.node("HardSigmoid", [z], alpha=1 / 6, beta=0.5)])


BOOL = 9

NODES: dict[str, PhiNodes] = {
    "identity": _identity,
    "relu": _plain("Relu"),
    "leaky_relu": _plain("LeakyRelu", "slope=alpha"),
    "prelu": _prelu,
    "thresholded_relu": _plain("ThresholdedRelu", "alpha"),
    "elu": _plain("Elu", "alpha"),
    "selu": _plain("Selu", "alpha", "gamma"),
    "celu": _plain("Celu", "alpha"),
    "softplus": _plain("Softplus"),
    "gelu": _since(20, _plain("Gelu"), _gelu),
    "gelu_tanh": _since(20, _plain("Gelu", approximate="tanh"), _gelu_tanh),
    "swish": _swish,
    "hard_swish": _since(14, _plain("HardSwish"), _hard_swish),
    "mish": _since(18, _plain("Mish"), _mish),
    "shrink": _plain("Shrink", "lambda=lambd", "bias"),
    "abs": _plain("Abs"),
    "square": _square,
    "clip": _clip,
    "sigmoid": _plain("Sigmoid"),
    "tanh": _plain("Tanh"),
    "hard_sigmoid": _plain("HardSigmoid", "alpha", "beta"),
    "softsign": _plain("Softsign"),
    "erf": _plain("Erf"),
    "exp": _plain("Exp"),
    "log": _plain("Log"),
    "sqrt": _plain("Sqrt"),
    "reciprocal": _plain("Reciprocal"),
    "power": _power,
    "sin": _plain("Sin"),
    "cos": _plain("Cos"),
    "tan": _plain("Tan"),
    "asin": _plain("Asin"),
    "acos": _plain("Acos"),
    "atan": _plain("Atan"),
    "sinh": _plain("Sinh"),
    "cosh": _plain("Cosh"),
    "asinh": _plain("Asinh"),
    "acosh": _plain("Acosh"),
    "atanh": _plain("Atanh"),
    "floor": _plain("Floor"),
    "ceil": _plain("Ceil"),
    "round": _plain("Round"),
    "truncate": _truncate,
    "sign": _plain("Sign"),
    "nonzero": _nonzero,
    "not": _not,
}
