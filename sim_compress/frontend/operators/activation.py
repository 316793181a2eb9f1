"""Nonlinear operators of one tensor, entry by entry: each is one state block."""

from collections.abc import Callable

import numpy as np

from sim_compress.activations import Activation
from sim_compress.frontend.axes.rules.elementwise import elementwise, first_input
from sim_compress.frontend.registry import Activated, Call, RefusalError, operator
from sim_compress.frontend.terms.expressions import finite
from sim_compress.model.maps import Array

# ONNX operator -> phi that takes no attributes.
PLAIN = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "HardSwish": "hard_swish",
    "Mish": "mish",
    "Erf": "erf",
    "Abs": "abs",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Sin": "sin",
    "Cos": "cos",
    "Tan": "tan",
    "Asin": "asin",
    "Acos": "acos",
    "Atan": "atan",
    "Sinh": "sinh",
    "Cosh": "cosh",
    "Asinh": "asinh",
    "Acosh": "acosh",
    "Atanh": "atanh",
    "Floor": "floor",
    "Ceil": "ceil",
    "Round": "round",
    "Sign": "sign",
    "Not": "not",
}
# ONNX operator -> phi, and its attributes by their names in the file with ONNX's defaults.
WITH_NUMBERS: dict[str, tuple[str, dict[str, tuple[str, float]]]] = {
    "LeakyRelu": ("leaky_relu", {"slope": ("alpha", 0.01)}),
    "ThresholdedRelu": ("thresholded_relu", {"alpha": ("alpha", 1.0)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "Selu": (
        "selu",
        {"alpha": ("alpha", 1.67326319217681884765625), "gamma": ("gamma", 1.05070102214813232)},
    ),
    "Celu": ("celu", {"alpha": ("alpha", 1.0)}),
    "HardSigmoid": ("hard_sigmoid", {"alpha": ("alpha", 0.2), "beta": ("beta", 0.5)}),
    "Swish": ("swish", {"alpha": ("alpha", 1.0)}),
    "Shrink": ("shrink", {"lambda": ("lambd", 0.5), "bias": ("bias", 0.0)}),
}


def becomes(name: str) -> str:
    """What the support table says of a nonlinear operator."""
    return f"state block with phi = {name}"


def _plain(phi: str) -> Callable[[Call], Activated]:
    return lambda call: Activated(call.affine(0), Activation(phi))


def _with_numbers(phi: str, settings: dict[str, tuple[str, float]]) -> Callable[[Call], Activated]:
    def handler(call: Call) -> Activated:
        numbers = {name: call.attribute(key, default) for name, (key, default) in settings.items()}
        return Activated(call.affine(0), Activation(phi, numbers))

    return handler


for _name, _phi in PLAIN.items():
    operator(_name, elementwise, becomes=becomes(_phi))(_plain(_phi))
for _name, (_phi, _settings) in WITH_NUMBERS.items():
    operator(_name, elementwise, becomes=becomes(_phi))(_with_numbers(_phi, _settings))


@operator("Clip", first_input, becomes=becomes("clip"), limits="constant bounds")
def clip(call: Call) -> Activated:
    return Activated(call.affine(0), between(call.setting("min", 1), call.setting("max", 2)))


def between(low: Array | None, high: Array | None) -> Activation:
    """A clip between scalar bounds; None for no bound."""
    # No finite float32 lies outside these; an infinite bound would have no place in an artifact.
    all_numbers = np.finfo(np.float32)
    attributes = {
        "low": float(all_numbers.min if low is None else max(low.item(), all_numbers.min)),
        "high": float(all_numbers.max if high is None else min(high.item(), all_numbers.max)),
    }
    return Activation("clip", attributes)


@operator("PRelu", elementwise, becomes=becomes("prelu"), limits="constant slopes")
def prelu(call: Call) -> Activated:
    x = call.affine(0)
    slopes = finite(call.constant(1))
    if slopes.size == 1:
        return Activated(x, Activation("leaky_relu", {"slope": float(slopes.item())}))
    return Activated(x, Activation("prelu", {"slopes": slopes}))


@operator("Gelu", elementwise, becomes=becomes("gelu") + " or gelu_tanh")
def gelu(call: Call) -> Activated:
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    kind = call.attribute("approximate", "none")
    if kind not in kinds:
        raise RefusalError(f"has an unknown approximation {kind!r}")
    return Activated(call.affine(0), Activation(kinds[kind]))
