"""One example of every phi: attributes, the shape of z, and pre-activations where it is defined."""

from typing import NamedTuple

import numpy as np

from sim_compress.activations import KINDS, Activation, Shape

BOX = (2, 3, 4)
WINDOWS = {
    "kernel": (2, 3),
    "strides": (1, 2),
    "dilations": (1, 1),
    "pads_begin": (1, 0),
    "pads_end": (0, 1),
}
AXES = {"axes": (1, 2)}
PAIR = {"parts": ((3, 4), (4,))}
# name -> attributes and, where it is not BOX, the shape of z
SPECIAL: dict[str, tuple[dict, Shape]] = {
    "leaky_relu": ({"slope": -1.3}, BOX),
    "prelu": ({"slopes": np.array([[[0.5]], [[-1.7]]], np.float32)}, BOX),
    "thresholded_relu": ({"alpha": 0.0}, BOX),
    "elu": ({"alpha": 1.4}, BOX),
    "selu": ({"alpha": 1.67, "gamma": 1.05}, BOX),
    "celu": ({"alpha": 0.7}, BOX),
    "swish": ({"alpha": 1.702}, BOX),
    "shrink": ({"lambda": 0.5, "bias": 0.5}, BOX),
    "clip": ({"low": -0.3, "high": 0.8}, BOX),
    "hard_sigmoid": ({"alpha": 0.3, "beta": 0.4}, BOX),
    "power": ({"exponent": 3.0}, BOX),
    "max_pool": (WINDOWS, BOX),
    "arg_max": ({"axes": (1,)}, BOX),
    "layer_norm": (AXES | {"epsilon": 0.1}, BOX),
    "rms_norm": (AXES | {"epsilon": 0.1}, BOX),
    "lp_norm": (AXES | {"p": 2, "epsilon": 0.0}, BOX),
    "lrn": ({"size": 2, "alpha": 0.1, "beta": 0.5, "bias": 1.0}, BOX),
    "maximum": ({"parts": ((3, 4), (4,), ())}, (17,)),
    "minimum": ({"parts": ((3, 4), (4,), ())}, (17,)),
    "where": ({"parts": ((3, 1), (3, 4), (4,))}, (19,)),
    "matmul": ({"parts": ((2, 3, 4), (4, 5))}, (44,)),
}


class Example(NamedTuple):
    phi: Activation
    shape: Shape


def _example(name: str) -> Example:
    if name in SPECIAL:
        attributes, shape = SPECIAL[name]
    elif "parts" in KINDS[name].attributes:
        attributes, shape = PAIR, (16,)
    else:
        attributes, shape = (AXES if KINDS[name].attributes else {}), BOX
    return Example(Activation(name, attributes), shape)


EXAMPLES = {name: _example(name) for name in KINDS}
