"""Nonlinear operators: each is one state block."""

import numpy as np

from sim_compress.activations import Activation
from sim_compress.frontend.registry import Activated, Call, operator


def _block(name: str) -> str:
    return f"state block with phi = {name}"


@operator("Relu", becomes=_block("relu"))
def relu(call: Call) -> Activated:
    return Activated(call.affine(0), Activation("relu"))


@operator("LeakyRelu", becomes=_block("leaky_relu"))
def leaky_relu(call: Call) -> Activated:
    return Activated(call.affine(0), Activation("leaky_relu", {"slope": call.attribute("alpha", 0.01)}))


@operator("Clip", becomes=_block("clip"), limits="constant bounds")
def clip(call: Call) -> Activated:
    low, high = call.setting("min", 1), call.setting("max", 2)
    # No finite float32 lies outside these; an infinite bound would have no place in an artifact.
    all_numbers = np.finfo(np.float32)
    attributes = {
        "low": float(all_numbers.min if low is None else max(low.item(), all_numbers.min)),
        "high": float(all_numbers.max if high is None else min(high.item(), all_numbers.max)),
    }
    return Activated(call.affine(0), Activation("clip", attributes))


@operator("Sigmoid", becomes=_block("sigmoid"))
def sigmoid(call: Call) -> Activated:
    return Activated(call.affine(0), Activation("sigmoid"))


@operator("Tanh", becomes=_block("tanh"))
def tanh(call: Call) -> Activated:
    return Activated(call.affine(0), Activation("tanh"))
